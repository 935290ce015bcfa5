"""results.json and the run folders beside it, told as report.md, report.html and a table."""

from asr_unlearn.evaluation.results import Results, ResultsError, read_results, write_results
from asr_unlearn.report.page import write_report
from asr_unlearn.report.terminal import table

__all__ = ["Results", "ResultsError", "read_results", "table", "write_report", "write_results"]
