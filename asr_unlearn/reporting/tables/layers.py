"""Figures of the layers of each model's encoder, a layer a row and a model a column."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr_unlearn.evaluation.results import RETRAINED
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.formats import Form
from asr_unlearn.reporting.tables.build import cell
from asr_unlearn.reporting.tables.table import Cell, Row, Table


@dataclass(frozen=True)
class _Figure:
    """A figure by layer: where results.json has it, and how it is written.

    Attributes:
        keys: of the figures by layer.
        below: keys of a second figure, written alike below the first under a name of its own.
        of_retrained: whether the retrained model has it.
    """

    keys: tuple[str, ...]
    form: Form
    below: tuple[str, ...]
    below_name: str
    of_retrained: bool = False

    def table(self, title: str, caption: str, found: Comparison) -> Table | None:
        """A row for each layer that any model has a figure of; None without any."""
        length = len(self.keys)
        layers = {int(r.keys[length]) for r in found.rows if r.keys[:length] == self.keys}
        models = [
            entry.name
            for entry in found.entries
            if (self.of_retrained or entry.name != RETRAINED)
            and any(found.row(entry.name, *self.keys, str(layer)) for layer in layers)
        ]
        if not models:
            return None
        rows = tuple(self._row(layer, models, found) for layer in sorted(layers))
        return Table(title, ("Layer", *models), rows, caption)

    def _row(self, layer: int, models: Sequence[str], found: Comparison) -> Row:
        return Row(
            f"Layer {layer}", tuple(self._cell(model, str(layer), found) for model in models)
        )

    def _cell(self, model: str, layer: str, found: Comparison) -> Cell:
        shown = cell(model, Column("", (*self.keys, layer), self.form), found)
        second = found.value(model, *self.below, layer)
        below = f"{self.below_name} {self.form.spread(second)}" if second else ""
        return Cell(shown.text, "; ".join(filter(None, (shown.detail, below))), shown.value)


CKA = _Figure(("cka", "forget"), formats.number, ("cka", "test"), "test")
PROBE = _Figure(
    ("layers", "probe_forget"),
    formats.percent,
    ("layers", "probe_retain"),
    "retain",
    of_retrained=True,
)
PRINCIPAL = _Figure(
    ("layers", "principal_cosine"), formats.number, ("layers", "principal_shift"), "shift"
)


def layers(found: Comparison) -> Table | None:
    """CKA with the retrained model; None without any."""
    caption = (
        "Linear CKA of the states of each layer of the encoder with the retrained model's, on "
        "utterances of forget, and below on test: 1 for states that are equal up to a rotation "
        "and a scale. A layer less alike on forget than on test encodes the forgotten "
        f"{found.forgotten.many} in another way than the retrained model does."
    )
    return CKA.table("Layers of the encoder", caption, found)


def layer_probes(found: Comparison) -> Table | None:
    """Accuracy of a speaker probe on each layer; None without any."""
    caption = (
        "How often a linear classifier names the speaker from the mean states of each layer of the "
        "encoder: forget speakers, and below retain speakers. The target is the retrained model's "
        "accuracy: a probe names speakers that a model was not trained on, too."
    )
    return PROBE.table("Speaker probe by layer", caption, found)


def principal_components(found: Comparison) -> Table | None:
    """The first principal component of each layer against the retrained model's; None without."""
    caption = (
        "First principal component of the mean states of forget utterances, by layer, against the "
        "retrained model's: cosine of the angle between the two directions, 1 for the same; shift: "
        "how far the mean lies from the retrained model's along its direction, in standard "
        "deviations."
    )
    return PRINCIPAL.table("First principal component by layer", caption, found)
