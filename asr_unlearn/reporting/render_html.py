"""report.html: one file with figures, tables and examples that fetches and runs nothing."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from asr_unlearn.reporting import formats


def html(content: Mapping[str, Any]) -> str:
    """The page; every text in `content` is escaped."""
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
    return environment.get_template("report.html.jinja").render(content)
