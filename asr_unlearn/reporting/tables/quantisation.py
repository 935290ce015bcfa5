"""Losses of each model with its weights rounded, and what that brings back."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import below, cell
from asr_unlearn.reporting.tables.table import Cell, Row, Table

PRECISIONS = {"bf16": "bf16", "int8": "int8", "int4": "int4", "pruned": "30% pruned"}
NAMES = {"forget_loss": "Forget loss", "unseen_loss": "Unseen loss"}
BACK = "brought_back"


def quantisation(found: Comparison) -> Table | None:
    """A row for each model and precision, as it was saved first; None without any."""
    keys = ("quantisation", "int4_forget_loss")
    models = [entry.name for entry in found.entries if found.row(entry.name, *keys)]
    if not models:
        return None
    rows = []
    for model in models:
        cells = [cell(model, _loss("loss", key.removesuffix("_loss")), found) for key in NAMES]
        rows.append(Row(model, (Cell("as saved"), *cells, Cell(formats.MISSING))))
        for precision, name in PRECISIONS.items():
            # Earlier versions did not prune.
            if not found.row(model, "quantisation", f"{precision}_forget_loss"):
                continue
            columns = [_loss("quantisation", f"{precision}_{key}") for key in NAMES]
            columns.append(_back(precision))
            cells = [cell(model, column, found, gaps=True) for column in columns]
            rows.append(Row(model, (Cell(name), *cells)))
    caption = (
        "Losses with the weights of linear layers and convolutions rounded to the nearest value: "
        "int8 in one step for each output channel, int4 in one for every 32 inputs. The model "
        "computes in its own precision, so this is the rounding of the weights and not the "
        f"arithmetic of an int8 kernel. {_pruned(found)}"
        "Brought back: the share of the rise in forget loss from the original to the model that "
        "this takes back; 0% is best, 100% is the original's loss again. A rounded retrained "
        "model has nothing to bring back: its row shows what rounding does by itself. "
    )
    caption += below(found, [_back(precision) for precision in PRECISIONS])
    headings = ("Model", "Weights", *NAMES.values(), "Brought back")
    return Table("Quantisation", headings, tuple(rows), caption.strip(), of_models=True)


def _pruned(found: Comparison) -> str:
    if not found.has("quantisation", "pruned_forget_loss"):
        return ""
    return "Pruned: the 30% of each weight that are smallest in magnitude are 0. "


def _loss(*keys: str) -> Column:
    return Column("", keys, formats.number, formats.difference)


def _back(precision: str) -> Column:
    return Column("", ("quantisation", f"{precision}_{BACK}"), formats.percent, formats.points)
