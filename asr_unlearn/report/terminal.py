"""The short table at the end of a run."""

from dataclasses import replace

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from asr_unlearn.evaluation.results import PARTS, Results
from asr_unlearn.report import wording
from asr_unlearn.report.comparison import compare
from asr_unlearn.report.tables.cost import taken_seconds

# Heads narrow enough for a terminal.
HEADS = {"wer": "WER %", "accuracy": "acc %"}
PLACES = {**wording.PART_NAMES, "forget_heldout": "held-\nout"}


def table(results: Results) -> RichTable:
    """The rate by part, forget loss, Avg.D and time, a model a row, in 80 columns."""
    found = compare(results)
    percent, seconds = replace(wording.percent, unit=""), replace(wording.seconds, unit="")
    columns = [
        *(
            (f"{HEADS[found.rate.key]}\n{PLACES[part]}", (found.rate.key, part), percent)
            for part in PARTS
        ),
        ("loss\nforget", ("loss", "forget"), wording.number),
        ("Avg.D", ("gap_to_retrained", "avg_d"), wording.number),
        ("of re-\ntrain", ("cost", "relative_to_retraining"), wording.times),
    ]
    columns = [column for column in columns if found.has(*column[1])]
    number = len(found.seeds)
    drawn = RichTable(
        title=Text(f"Forgetting on {results.record['corpus']}"),
        caption=f"mean ± standard deviation over {number} seeds" if number > 1 else "one seed",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    # Folded where the terminal is narrow: a figure cut short would be a wrong figure.
    drawn.add_column("model", overflow="fold", min_width=16)
    for heading, _, _ in columns:
        drawn.add_column(heading, justify="right", overflow="fold")
    drawn.add_column("time\ns", justify="right", overflow="fold")
    for entry in found.entries:
        cells = [form.spread(entry.spread(*keys)) for _, keys, form in columns]
        cells.append(seconds.spread(taken_seconds(entry)))
        # The deviation goes below its mean, or several seeds would not fit in 80 columns.
        seeds = len(entry.models)
        fewer = f"\n{seeds} of {number} seeds" if seeds < number else ""
        drawn.add_row(Text(f"{entry.name}{fewer}"), *(cell.replace(" ± ", "\n±") for cell in cells))
    return drawn
