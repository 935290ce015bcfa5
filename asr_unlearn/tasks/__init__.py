"""What a model is asked: connectionist temporal classification for now."""

from asr_unlearn.tasks.ctc import CTC
from asr_unlearn.tasks.task import Task

__all__ = ["CTC", "Task"]
