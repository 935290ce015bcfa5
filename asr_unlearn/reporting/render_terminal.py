"""The comparison as a short table in the terminal."""

from dataclasses import replace

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from asr_unlearn.evaluation.results import Results
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import (
    AVERAGE_DIFFERENCE,
    OF_RETRAINING,
    Column,
    losses,
    present,
    rates,
)  # fmt: skip
from asr_unlearn.reporting.comparison import Comparison, compare

# Headings narrow enough for 80 columns.
HEADINGS = {"wer": "WER %", "accuracy": "acc %", "loss": "loss"}
PART_NAMES = {**formats.PART_NAMES, "forget_heldout": "held-\nout"}


def table(results: Results) -> RichTable:
    """Rate by part, forget loss, Avg.D and time, a model a row, in 80 columns."""
    found = compare(results)
    columns = _columns(found)
    seconds = replace(formats.seconds, unit="")
    number = len(found.seeds)
    drawn = RichTable(
        title=Text(f"Forgetting on {found.corpus}"),
        caption=f"mean ± standard deviation over {number} seeds" if number > 1 else "one seed",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    # Folded where the terminal is narrow: a figure cut short would be a wrong figure.
    drawn.add_column("model", overflow="fold", min_width=16)
    for column in columns:
        drawn.add_column(column.heading, justify="right", overflow="fold")
    drawn.add_column("time\ns", justify="right", overflow="fold")
    for entry in found.entries:
        cells = [column.form.spread(found.value(entry.name, *column.keys)) for column in columns]
        cells.append(seconds.spread(found.seconds(entry.name)))
        # The deviation goes below its mean, or several seeds would not fit in 80 columns.
        seeds = len(entry.models)
        fewer = f"\n{seeds} of {number} seeds" if seeds < number else ""
        drawn.add_row(Text(f"{entry.name}{fewer}"), *(cell.replace(" ± ", "\n±") for cell in cells))
    return drawn


def _columns(found: Comparison) -> list[Column]:
    by_part = [
        replace(c, heading=f"{HEADINGS[c.keys[0]]}\n{PART_NAMES[c.keys[1]]}", form=form)
        for columns, form in (
            (rates(found.rate), replace(formats.percent, unit="")),
            (losses("forget"), formats.number),
        )
        for c in columns
    ]
    time = replace(OF_RETRAINING, heading="of re-\ntrain")
    return present([*by_part, AVERAGE_DIFFERENCE, time], found)
