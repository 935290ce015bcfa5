"""report.md: the same words and tables, and the command."""

import re
from collections.abc import Mapping
from typing import Any

from asr_unlearn.report.tables.table import Table

# What Markdown or the HTML inside it would take as markup anywhere in a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def markdown(told: Mapping[str, Any]) -> str:
    """The report as GitHub-flavoured Markdown."""
    record = told["record"]
    blocks = [
        f"# Forgetting on {escape(record['corpus'])}",
        f"Evaluated {escape(record['created'])}.",
    ]
    blocks.append("## In plain words")
    blocks += map(escape, told["summary"].opening)
    for question, sentences in told["summary"].answers:
        blocks.append(f"**{escape(question)}** {escape(' '.join(sentences))}")
    blocks += ["## Figures", *map(draw, told["main"]), *map(draw, told["more"])]
    blocks += ["## Method by method", escape(told["summary"].explanation)]
    for name, texts in told["summary"].methods.items():
        blocks.append(f"**{escape(name)}**: {escape(' '.join(texts))}")
    if told["forget_speakers"]:
        blocks += ["## Speakers", draw(told["forget_speakers"])]
    blocks += ["## Data", *map(draw, told["data"])]
    names = ", ".join(map(escape, told["forgotten"].names))
    blocks.append(f"To be forgotten: {names}.")
    if told["records"]:
        tables = (told["record_inputs"], told["records"])
        blocks += ["## Deletion records", *map(draw, tables)]
    blocks += ["## Reproduction", fenced(record["command"])]
    blocks.append(told["seeds_and_window"])
    blocks += [draw(table) for table in (told["options"], told["versions"]) if table]
    if told["missing"]:
        missing = ", ".join(map(escape, told["missing"]))
        blocks.append(f"Not found, so what they would tell is left out: {missing}.")
    blocks.append(
        f"Plots, and examples to read, measure_losses and see, are in {escape(told['page'])}."
    )
    return "\n\n".join(filter(None, blocks)) + "\n"


def draw(table: Table) -> str:
    """A heading, the caption, and a Markdown table."""
    lines = [f"### {escape(table.title)}", ""]
    if table.caption:
        lines += [escape(table.caption), ""]
    if not table.rows:
        return "\n".join(lines).rstrip()
    return "\n".join([*lines, grid(table)])


def grid(table: Table) -> str:
    """The Markdown table alone."""
    lines = [_line(list(table.columns))]
    sides = ["---:" if table.holds_figures(i) else "---" for i in range(len(table.columns))]
    lines.append(f"| {' | '.join(sides)} |")
    for row in table.rows:
        cells = [f"{cell.text} ({cell.detail})" if cell.detail else cell.text for cell in row.cells]
        lines.append(_line([row.label, *cells]))
    return "\n".join(lines)


def _line(texts: list[str]) -> str:
    return f"| {' | '.join(map(escape, texts))} |"


def escape(text: str) -> str:
    """Text that stays text in a Markdown table cell or paragraph."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backticks inside it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
