"""The report: one comparison of all models, shown as HTML, as Markdown and in the terminal."""

from asr_unlearn.evaluation.results import Results, ResultsError, read_results, write_results
from asr_unlearn.reporting.render_terminal import table
from asr_unlearn.reporting.write import write_report

__all__ = ["Results", "ResultsError", "read_results", "table", "write_report", "write_results"]
