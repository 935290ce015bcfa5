"""The report in plain words, made from nothing but the figures, misses included."""

from asr_unlearn.report.words.answers import Answer
from asr_unlearn.report.words.overview import Summary, summary

__all__ = ["Answer", "Summary", "summary"]
