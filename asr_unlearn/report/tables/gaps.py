"""How far each model is from the retrained one, part by part, and which is nearest where."""

from asr_unlearn.evaluation.results import PARTS
from asr_unlearn.report import wording
from asr_unlearn.report.attacks import ATTACKS
from asr_unlearn.report.comparison import RETRAINED, Comparison, Entry
from asr_unlearn.report.tables.column import Column, figure_cell
from asr_unlearn.report.tables.table import Cell, Row, Table


def gaps(found: Comparison) -> Table | None:
    """Every gap to the retrained model, marked where it is within the seeds' spread."""
    rate = found.rate
    columns = [
        Column(f"{rate.heading} {wording.PART_NAMES[part]}", (rate.key, part), wording.points)
        for part in PARTS
    ]
    columns += [
        Column(f"Loss {part}", ("loss", part), wording.difference) for part in ("forget", "unseen")
    ]
    others = [entry for entry in found.entries if entry.name != RETRAINED]
    columns = [c for c in columns if any(found.gap(entry, *c.keys) for entry in others)]
    if not columns:
        return None
    rows = tuple(
        Row(entry.name, tuple(_gap_cell(entry, column, found) for column in columns))
        for entry in others
    )
    caption = f"Model minus retrained: nearer to 0 is better. {rate.heading} in percentage points."
    headings = ("Model", *(column.heading for column in columns))
    return Table("Gap to the retrained model", headings, rows, caption, of_models=True)


def _gap_cell(entry: Entry, column: Column, found: Comparison) -> Cell:
    gap = found.gap(entry, *column.keys)
    if gap is None:
        return Cell(wording.MISSING)
    same = "no difference" if found.no_difference(gap, *column.keys) else ""
    return figure_cell(gap, column.form, ", ".join(filter(None, [same, found.fewer_seeds(gap)])))


def targets(found: Comparison) -> list[Column]:
    """Figures whose target is the retrained model's own, of those that any model has."""
    rate = found.rate
    columns = [
        Column(f"{rate.heading} {wording.PART_NAMES[part]}", (rate.key, part), wording.percent)
        for part in PARTS
    ]
    columns.append(Column("Loss forget", ("loss", "forget"), wording.number))
    columns += [Column(f"AUC, {a.name} attack", a.auc, wording.number) for a in ATTACKS]
    columns += [
        Column("Probe, forget speakers", ("speaker_id", "probe_forget"), wording.percent),
        Column("Judge, forget speakers", ("speaker_id", "judge_forget"), wording.percent),
        Column("EER, strangers", ("verification", "eer"), wording.percent),
        Column("EER, forget speakers", ("verification", "forget_eer"), wording.percent),
        Column("KL forget", ("divergence", "kl_forget"), wording.number),
        Column("KL test", ("divergence", "kl_test"), wording.number),
    ]
    return columns


def nearest(found: Comparison, *keys: str) -> list[Entry]:
    """The methods whose gaps are on average the smallest, more than one where they tie."""
    known = [(entry, gap) for entry in found.methods if (gap := found.gap(entry, *keys))]
    if not known:
        return []
    smallest = min(gap.size for _, gap in known)
    return [entry for entry, gap in known if gap.size == smallest]


def ranked_unequally(found: Comparison) -> str:
    """Which methods share fewer seeds with the retrained model than others, if any does."""
    gold = found.retrained.seeds if found.retrained else frozenset()
    shared = {entry.name: entry.seeds & gold for entry in found.methods}
    every = frozenset().union(*shared.values())
    fewer = [
        f"{name} over {len(own)} of {len(every)}"
        for name, own in shared.items()
        if own and own != every
    ]
    return f"Methods are ranked over different seeds: {wording.listed(fewer)}." if fewer else ""


def closest(found: Comparison) -> Table | None:
    """Which method is nearest to the retrained model, figure by figure."""
    if found.retrained is None or len(found.methods) < 2:
        return None
    rows = []
    for column in targets(found):
        best = nearest(found, *column.keys)
        if best:
            rows.append(Row(column.heading, tuple(_closest_cells(found, column, best))))
    if not rows:
        return None
    several = len(found.retrained.models) > 1
    caption = "No figure is weighed against another."
    if several:
        caption = f"Means over the seeds; nearest by the mean size of the seeds' gaps. {caption}"
    columns = ["Figure", "Original", "Retrained", "Nearest to it", "Which has"]
    if several:
        columns.append("No difference")
        caption += (
            " No difference: all whose mean size is within the range of the retrained models."
        )
    caption = " ".join(filter(None, [caption, ranked_unequally(found)]))
    return Table("Closest to the retrained model", tuple(columns), tuple(rows), caption)


def _closest_cells(found: Comparison, column: Column, best: list[Entry]) -> list[Cell]:
    nearest_one, gold = found.beside(best[0], *column.keys)

    def plain(entry: Entry | None) -> Cell:
        spread = entry.at(nearest_one.seeds).spread(*column.keys) if entry else None
        if spread is None:
            return Cell(wording.MISSING)
        return Cell(column.form(spread.mean), found.fewer_seeds(spread), spread.mean)

    cells = [plain(found.original), plain(gold)]
    cells += [Cell(wording.listed([entry.name for entry in best])), plain(nearest_one)]
    if found.retrained is not None and len(found.retrained.models) > 1:
        same = [
            entry.name
            for entry in found.methods
            if (gap := found.gap(entry, *column.keys)) and found.no_difference(gap, *column.keys)
        ]
        every = len(same) == len(found.methods)
        cells.append(Cell("all methods" if every else ", ".join(same) or "none"))
    return cells
