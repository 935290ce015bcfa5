"""Write report.md and report.html beside results.json."""

from rich.console import Console

from asr_unlearn.api.reports import Report, report
from asr_unlearn.cli.command import Command
from asr_unlearn.reporting import table


def show(written: Report) -> None:
    """Print the figures, and where the report is."""
    Console().print(table(written.results))
    print(f"{written.markdown}\n{written.html}")


COMMAND = Command(
    report,
    "asr-unlearn report --results out/results.json",
    show,
    lambda written: {"markdown": written.markdown, "html": written.html},
)
