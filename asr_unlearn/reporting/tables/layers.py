"""How alike the layers of each model's encoder are to the retrained model's."""

from asr_unlearn.evaluation.results import RETRAINED
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import cell
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def layers(found: Comparison) -> Table | None:
    """CKA with the retrained model, a layer a row and a model a column; None without any."""
    numbers = sorted({int(row.keys[2]) for row in found.rows if row.keys[0] == "cka"})
    models = [
        entry.name
        for entry in found.entries
        if entry.name != RETRAINED and any(found.row(entry.name, *_keys(n)) for n in numbers)
    ]
    if not models:
        return None
    rows = [Row(f"Layer {n}", tuple(_cell(model, n, found) for model in models)) for n in numbers]
    caption = (
        "Linear CKA of the states of each layer of the encoder with the retrained model's, on "
        "utterances of forget, and below on test: 1 for states that are equal up to a rotation "
        "and a scale. A layer less alike on forget than on test encodes the forgotten "
        f"{found.forgotten.many} in another way than the retrained model does."
    )
    return Table("Layers of the encoder", ("Layer", *models), tuple(rows), caption)


def _keys(layer: int, part: str = "forget") -> tuple[str, str, str]:
    return "cka", part, str(layer)


def _cell(model: str, layer: int, found: Comparison) -> Cell:
    shown = cell(model, Column("", _keys(layer), formats.number), found)
    test = found.value(model, *_keys(layer, "test"))
    below = f"test {formats.number.spread(test)}" if test else ""
    return Cell(shown.text, "; ".join(filter(None, (shown.detail, below))), shown.value)
