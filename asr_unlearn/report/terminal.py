"""The short table at the end of a run."""

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from asr_unlearn.report import wording
from asr_unlearn.report.results import PARTS, Results
from asr_unlearn.report.seeds import entries, seeds
from asr_unlearn.report.tables import taken_seconds


def table(results: Results) -> RichTable:
    """WER by part, forget loss, Avg.D and time, a model a row."""
    found = entries(results)
    columns = [
        *((f"WER {wording.PART_NAMES[part]}", ("wer", part), wording.percent) for part in PARTS),
        ("Loss forget", ("loss", "forget"), wording.number),
        ("Avg.D", ("gap_to_retrained", "avg_d"), wording.number),
        ("Of retrain", ("cost", "relative_to_retraining"), wording.times),
    ]
    columns = [column for column in columns if any(entry.spread(*column[1]) for entry in found)]
    number = len(seeds(found))
    drawn = RichTable(
        title=Text(f"Forgetting on {results.record['corpus']}"),
        caption=f"mean ± standard deviation over {number} seeds" if number > 1 else "one seed",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
    )
    drawn.add_column("Model", no_wrap=True)
    for heading, _, _ in columns:
        drawn.add_column(heading, justify="right")
    drawn.add_column("Time", justify="right")
    for entry in found:
        cells = [form.spread(entry.spread(*keys)) for _, keys, form in columns]
        cells.append(wording.seconds.spread(taken_seconds(entry)))
        drawn.add_row(Text(entry.name), *cells)
    return drawn
