"""What the terminal shows of methods and of a search for their options."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from asr_unlearn.methods import Method

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def methods_listing(methods: Mapping[str, type[Method]]) -> RenderableType:
    """Each method with its paper, its data, and its options with types and defaults."""
    shown: list[RenderableType] = []
    for name, method in methods.items():
        summary = (inspect.getdoc(method) or "").split("\n\n")[0].replace("\n", " ")
        passes = next(f.default for f in fields(method) if f.name == "epochs")
        hints = get_type_hints(method)
        options = (f"{f.name}: {_type_name(hints[f.name])} = {f.default}" for f in fields(method))
        lines = (
            summary,
            f"data: {' + '.join(method.needs)}; at most {passes:g} passes over {method.epoch_part}",
            f"options: {', '.join(options)}",
        )
        shown.append(f"[bold]{name}[/bold]  {method.paper}")
        shown.append(Padding(escape("\n".join(lines)), (0, 0, 1, 2)))
    return Group(*shown)


def _type_name(kind: Any) -> str:
    """`float`, or the choices of a literal or a union."""
    if get_origin(kind) is Literal:
        return " | ".join(map(repr, get_args(kind)))
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(map(_type_name, get_args(kind)))
    return getattr(kind, "__name__", str(kind))


def trials_table(trials: "Sequence[FrozenTrial]") -> Table:
    """What each trial cost and left, the loss and the CER of each part."""
    parts = ("forget", "retain", "unseen")
    headings = [f"{part}: loss, CER" for part in parts]
    table = Table("cost", "options", *headings, "why it stopped")
    for trial in trials:
        levels = [", ".join(map(str, trial.user_attrs[part])) for part in parts]
        options = "\n".join(f"{name}={value:.3g}" for name, value in trial.params.items())
        table.add_row(f"{trial.value:.3f}", options, *levels, trial.user_attrs["stopped"])
    return table
