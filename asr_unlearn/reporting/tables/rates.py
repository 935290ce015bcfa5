"""Error rate or accuracy and loss of every model on every part."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import (
    CER,
    NORMALISED_WER,
    RAW_WER,
    SIZES,
    losses,
    present,
    rates,
)
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures, interval, seed_remark
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def rates_and_loss(found: Comparison) -> Table | None:
    """The rate by part, and the losses that the stopping rule checks."""
    rate = found.rate
    columns = [*rates(rate), *losses("forget", "unseen")]
    below = f" Below each {rate.name}: 95% interval over speakers."
    caption = f"{seed_remark(found)}{below if len(found.seeds) == 1 else ''}"
    title = f"{rate.heading} and loss"
    return figures(title, f"{caption} Loss: mean over utterances.", columns, found)


def details(found: Comparison) -> list[Table]:
    """Further error rates, all losses, and the size of models and runs."""
    columns = [
        ("Character error rate", CER),
        ("WER before normalisation", RAW_WER),
        ("WER after normalisation", NORMALISED_WER),
        ("Loss by part", losses()),
        ("Steps, memory and size", SIZES),
    ]
    drawn = [figures(title, seed_remark(found), wanted, found) for title, wanted in columns]
    return [table for table in drawn if table is not None]


def each_seed(found: Comparison) -> Table | None:
    """The rate of every single model with its interval; None for one seed."""
    rate = found.rate
    columns = present(rates(rate), found)
    if len(found.seeds) < 2 or not columns:
        return None
    rows = []
    for entry in found.entries:
        for model in entry.models:
            cells = [Cell(str(model.seed))]
            for column in columns:
                row = found.row(entry.name, *column.keys, seed=model.seed)
                if row is None:
                    cells.append(Cell(formats.MISSING))
                else:
                    value = row.value.mean
                    cells.append(Cell(formats.percent(value), interval(row.interval), value))
            rows.append(Row(entry.name, tuple(cells)))
    headings = ("Model", "Seed", *(column.heading for column in columns))
    caption = f"Below each {rate.name}: 95% interval over speakers."
    return Table(f"{rate.heading} of each seed", headings, tuple(rows), caption, of_models=True)
