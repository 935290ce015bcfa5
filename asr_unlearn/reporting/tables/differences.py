"""Difference of every model from the retrained one, and the nearest method by figure."""

from collections.abc import Iterator
from dataclasses import replace

from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import AUC, Column, losses, rates, targets
from asr_unlearn.reporting.comparison import Comparison, ComparisonRow
from asr_unlearn.reporting.tables.build import gap_cell
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def differences(found: Comparison) -> Table | None:
    """Rates, losses and AUCs minus the retrained model's, with the verdict on each."""
    others = [entry.name for entry in found.entries if entry.name != RETRAINED]
    columns = [
        column
        for column in (*rates(found.rate), *losses("forget", "unseen"), *AUC)
        if any((row := found.row(name, *column.keys)) and row.gap for name in others)
    ]
    if not columns:
        return None
    rows = tuple(
        Row(name, tuple(gap_cell(name, column, found) for column in columns)) for name in others
    )
    caption = (
        f"Model minus retrained, 0 is best. {found.rate.heading} in percentage points. "
        f"{_verdicts(found)}"
    )
    headings = ("Model", *(column.heading for column in columns))
    title = "Difference from the retrained model"
    return Table(title, headings, rows, caption.strip(), of_models=True)


def _verdicts(found: Comparison) -> str:
    shown = {row.verdict for row in found.rows}
    if "no difference" in shown:
        return (
            "No difference: the mean absolute difference over seeds is within the range of the "
            "retrained models."
        )
    if any(row.gap_interval for row in found.rows):
        return (
            "Below a difference: its 95% interval over the speakers, of the same utterances by "
            "both models."
        )
    return ""


def unequal_seeds(found: Comparison) -> str:
    """Which methods share fewer seeds with the retrained model than others, if any does."""
    retrained = found.retrained.seeds if found.retrained else frozenset()
    shared = {entry.name: entry.seeds & retrained for entry in found.methods}
    every = frozenset().union(*shared.values())
    fewer = [
        f"{name} over {len(own)} of {len(every)}"
        for name, own in shared.items()
        if own and own != every
    ]
    return f"Methods are ranked over different seeds: {formats.listed(fewer)}." if fewer else ""


def closest(found: Comparison) -> Table | None:
    """The method with the smallest difference from the retrained model, figure by figure."""
    if found.retrained is None or len(found.methods) < 2:
        return None
    rows = [
        Row(column.heading, tuple(_cells(found, column, best)))
        for column in targets(found)
        if (best := found.nearest(*column.keys))
    ]
    if not rows:
        return None
    several = len(found.retrained.models) > 1
    caption = "Figures are not weighed against each other."
    if several:
        caption = f"Means over the seeds; nearest by mean absolute difference. {caption}"
    columns = ["Figure", "Original", "Retrained", "Nearest method", "Its figure"]
    if several:
        columns.append("No difference")
        caption += (
            " No difference: the mean absolute difference is within the range of the retrained "
            "models."
        )
    caption = " ".join(filter(None, [caption, unequal_seeds(found)]))
    return Table("Closest to the retrained model", tuple(columns), tuple(rows), caption)


def _cells(found: Comparison, column: Column, best: list[ComparisonRow]) -> Iterator[Cell]:
    def plain(model: str) -> Cell:
        spread = found.at(model, best[0].seeds, *column.keys)
        if spread is None:
            return Cell(formats.MISSING)
        return Cell(column.form(spread.mean), found.fewer_seeds(spread), spread.mean)

    yield plain(ORIGINAL)
    yield plain(RETRAINED)
    yield Cell(formats.listed([row.model for row in best]))
    # Equally near ones may be on both sides.
    figures = {cell.text: cell for cell in map(plain, (row.model for row in best))}
    nearest, *others = figures.values()
    yield replace(nearest, text=", ".join(figures)) if others else nearest
    if found.retrained is not None and len(found.retrained.models) > 1:
        rows = [found.row(entry.name, *column.keys) for entry in found.methods]
        if not any(row and row.verdict for row in rows):
            yield Cell(formats.MISSING)
            return
        same = [row.model for row in rows if row and row.verdict == "no difference"]
        every = len(same) == len(found.methods)
        yield Cell("all methods" if every else ", ".join(same) or "none")
