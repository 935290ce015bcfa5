"""How far each model is from the retrained one on the whole, what it took, why it ended."""

from asr_unlearn.report import wording
from asr_unlearn.report.comparison import Comparison, Entry, Spread
from asr_unlearn.report.tables.column import Column, cell, figure_cell, present
from asr_unlearn.report.tables.table import Cell, Row, Table

DISTANCES = [
    Column("Avg.D", ("gap_to_retrained", "avg_d"), wording.number),
    Column("ToW", ("gap_to_retrained", "tow"), wording.number),
    Column("EMD", ("divergence", "emd_forget_loss"), wording.number),
    Column("KL forget", ("divergence", "kl_forget"), wording.number),
    Column("KL test", ("divergence", "kl_test"), wording.number),
]
COSTS = [Column("Of retraining", ("cost", "relative_to_retraining"), wording.times)]


def taken_seconds(entry: Entry) -> Spread | None:
    """Seconds of unlearning, or of training for a model that was not unlearned."""
    return entry.spread("unlearn_seconds") or entry.spread("seconds")


def distance_and_cost(found: Comparison) -> Table:
    """Distances over all parts, and time against retraining."""
    distances, costs = present(DISTANCES, found), present(COSTS, found)
    rows = []
    for entry in found.entries:
        cells = (
            *(cell(entry, column, found) for column in distances),
            figure_cell(taken_seconds(entry), wording.seconds),
            *(cell(entry, column, found) for column in costs),
        )
        rows.append(Row(entry.name, cells))
    headings = [column.heading for column in distances]
    headings += ["Time", *(column.heading for column in costs)]
    name = found.rate.name
    caption = (
        f"Avg.D: mean absolute {name} gap over all parts, 0 is best. "
        f"ToW: product of 1 − |{name} gap| over forget, retain and test, 1 is best. "
        "EMD: earth mover's distance from the retrained model's forget losses, 0 is best. "
        "KL: divergence from what the retrained model says frame by frame, 0 is best. "
        "Time of training, or of unlearning for the methods."
    )
    return Table("Distance and cost", ("Model", *headings), tuple(rows), caption, of_models=True)


def endings(found: Comparison) -> Table | None:
    """Why each run of unlearning came to its end."""
    rows = [
        Row(entry.name, (Cell(str(model.seed)), Cell(str(model.record["stopped"]))))
        for entry in found.entries
        for model in entry.models
        if "stopped" in model.record
    ]
    if not rows:
        return None
    return Table("Why each run ended", ("Model", "Seed", "Why"), tuple(rows), of_models=True)
