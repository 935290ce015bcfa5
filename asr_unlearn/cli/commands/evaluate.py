"""Evaluate saved models into results.json."""

import shlex

from asr_unlearn.api.evaluating import evaluate
from asr_unlearn.cli.command import Command, print_once
from asr_unlearn.evaluation.evaluate import Evaluation


def show(evaluation: Evaluation) -> None:
    """Print where the results are, and the command that makes their report."""
    next_command = shlex.join(["asr-unlearn", "report", "--results", str(evaluation.path)])
    print_once(f"wrote {evaluation.path}; next: {next_command}")


COMMAND = Command(
    evaluate,
    "asr-unlearn evaluate --manifest out/manifest.jsonl --split out/split.json "
    "--models original,retrained,orthograd --out out/results.json",
    show,
    lambda evaluation: evaluation.results,
    in_several_processes=True,
)
