"""The Python functions: what the commands do, each with a typed result."""

from asr_unlearn.api.deletion_check import RecordCheck, verify
from asr_unlearn.api.evaluating import evaluate
from asr_unlearn.api.in_memory import Unlearned
from asr_unlearn.api.reports import Report, report
from asr_unlearn.api.splitting import WrittenSplit, split
from asr_unlearn.api.training import Trained, train
from asr_unlearn.api.unlearning import PublishedModel, unlearn

__all__ = [
    "PublishedModel",
    "RecordCheck",
    "Report",
    "Trained",
    "Unlearned",
    "WrittenSplit",
    "evaluate",
    "report",
    "split",
    "train",
    "unlearn",
    "verify",
]
