"""report.html: one file with figures, tables and examples that fetches and runs nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.figures.palette import Look
from asr_unlearn.reporting.tables.table import Table


def html(content: Mapping[str, Any]) -> str:
    """The page; every text in `content` is escaped."""
    return _environment().get_template("report.html.jinja").render(content)


def blocks(
    sentences: Sequence[str], tables: Sequence[Table], looks: Mapping[str, Look]
) -> list[str]:
    """What the page has for the sentences of a summary and for tables."""
    macros: Any = _environment().get_template("macros.html.jinja").make_module({"looks": looks})
    return [
        *(f"<li>{escape(text)}</li>" for text in sentences),
        *(str(macros.figures(table)) for table in tables),
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("asr_unlearn.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        part_names=formats.PART_NAMES, duration=formats.duration, number=formats.number
    )
    return environment
