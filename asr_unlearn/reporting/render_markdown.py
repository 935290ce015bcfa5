"""report.md: the summary, the tables and the command."""

import re
from collections.abc import Mapping
from typing import Any

from asr_unlearn.reporting.summary import Summary
from asr_unlearn.reporting.tables.table import Table

# What Markdown or the HTML inside it would take as markup anywhere in a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def markdown(content: Mapping[str, Any]) -> str:
    """The report as GitHub-flavoured Markdown."""
    record, summary = content["record"], content["summary"]
    blocks = [
        f"# Forgetting on {escape(record['corpus'])}",
        f"Evaluated {escape(record['created'])}. Figures, and examples with transcripts and "
        f"audio, are in {escape(content['page'])}.",
        "## Summary",
        sentences(summary),
    ]
    blocks += [f"> {escape(note)}" for note in summary.notes]
    blocks += ["## Tables", *map(draw, content["main"]), *map(draw, content["more"])]
    if content["forget_speakers"]:
        blocks += ["## Speakers", draw(content["forget_speakers"])]
    blocks += ["## Data", *map(draw, content["data"])]
    names = ", ".join(map(escape, content["forgotten"].names))
    blocks.append(f"To be forgotten: {names}.")
    if content["records"]:
        tables = (content["record_inputs"], content["records"])
        blocks += ["## Deletion records", *map(draw, tables)]
    blocks.append("## Reproduction")
    if record["command"]:
        blocks.append(fenced(record["command"]))
    blocks.append(content["seeds_and_window"])
    blocks += [draw(table) for table in (content["options"], content["versions"]) if table]
    if content["missing"]:
        missing = ", ".join(map(escape, content["missing"]))
        blocks.append(f"Not found and left out: {missing}.")
    return "\n\n".join(filter(None, blocks)) + "\n"


def sentences(summary: Summary) -> str:
    """The sentences of a summary as a list."""
    return "\n".join(f"- {escape(text)}" for text in summary.sentences)


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
