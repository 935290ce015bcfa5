"""Unlearning methods; a new one is one file of this folder with a subclass of `Method`."""

from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Direction, Loss, Penalty, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.registry import METHODS

__all__ = [
    "METHODS",
    "Direction",
    "Loss",
    "Method",
    "Penalty",
    "Step",
    "Term",
    "TrainingContext",
]
