"""What the subcommands of `asr-unlearn` do."""

from asr_unlearn.cli.commands.evaluation import evaluate, report, verify
from asr_unlearn.cli.commands.training import methods, split, train, tune, unlearn

__all__ = ["evaluate", "methods", "report", "split", "train", "tune", "unlearn", "verify"]
