"""Distances from the retrained model over all parts, time, and why each run ended."""

from collections.abc import Mapping

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import (
    DISTANCES,
    GUM,
    KS,
    OF_RETRAINING,
    PASSES_OF_RETRAINING,
    present,
)
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import cell, figure_cell
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def distance_and_cost(found: Comparison) -> Table:
    """Distances over all parts, and time relative to retraining."""
    distances = present(DISTANCES, found)
    costs = present([OF_RETRAINING, PASSES_OF_RETRAINING], found)
    rows = []
    for entry in found.entries:
        cells = (
            *(cell(entry.name, column, found) for column in distances),
            figure_cell(found.seconds(entry.name), formats.seconds),
            *(cell(entry.name, column, found) for column in costs),
        )
        rows.append(Row(entry.name, cells))
    headings = [column.heading for column in distances]
    headings += ["Time", *(column.heading for column in costs)]
    name = found.rate.name
    caption = (
        f"Avg.D: mean absolute {name} difference over all parts, 0 is best. "
        f"ToW: product of 1 − |{name} difference| over forget, retain and test, 1 is best. "
        f"{_gum(found)}"
        "EMD: earth mover's distance between the forget losses of model and retrained model, 0 is "
        f"best. {_test_of_losses(found)}"
        "KL: divergence of the output distributions, frame by frame, 0 is best. "
        "Time of training, or of unlearning for the methods, and as a share of retraining's. "
        "Passes: the same share in utterances that went through the model, a forward pass counted "
        "once and a backward pass twice, which does not depend on the machine."
    )
    return Table("Distance and cost", ("Model", *headings), tuple(rows), caption, of_models=True)


def _gum(found: Comparison) -> str:
    if not present([GUM], found):
        return ""
    return "GUM: utility, efficacy and time saved in one, 1 is best. "


def _test_of_losses(found: Comparison) -> str:
    if not present(KS, found):
        return ""
    return (
        "KS: largest difference between the distribution functions of the same losses, 0 is best; "
        "p: the share of all ways to exchange the two models, speaker by speaker, that give as "
        "large a difference: with S speakers never less than 2 in 2 to the power of S. "
    )


def phases(found: Comparison) -> Table | None:
    """Seconds and utterance passes of each phase of a run."""
    rows = [
        Row(entry.name, (Cell(str(model.seed)), Cell(name.capitalize()), *_phase_cells(cost)))
        for entry in found.entries
        for model in entry.models
        for name, cost in model.record.get("cost", {}).get("phases", {}).items()
    ]
    if not rows:
        return None
    headings = ("Model", "Seed", "Phase", "Seconds", "Forward", "Backward", "Generated")
    caption = (
        "Utterances in forward and backward passes, and those whose transcript a decoder generated."
    )
    return Table("Where the time went", headings, tuple(rows), caption, of_models=True)


def _phase_cells(cost: Mapping[str, float]) -> tuple[Cell, ...]:
    seconds = Cell(formats.seconds(cost["seconds"]))
    return (seconds, *(Cell(f"{cost[k]:,}") for k in ("forward", "backward", "generated")))


def endings(found: Comparison) -> Table | None:
    """Why each run of unlearning ended."""
    rows = [
        Row(entry.name, (Cell(str(model.seed)), Cell(str(model.record["stopped"]))))
        for entry in found.entries
        for model in entry.models
        if "stopped" in model.record
    ]
    if not rows:
        return None
    return Table("Why each run ended", ("Model", "Seed", "Why"), tuple(rows), of_models=True)
