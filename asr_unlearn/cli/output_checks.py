"""Checks of what the steps of a recipe leave."""

from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.cli.plan import RecipeStep
from asr_unlearn.cli.stages import TRAINING
from asr_unlearn.evaluation.results import RESULT_KEYS
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_file, check_model_folder


def check_outputs(steps: Sequence[RecipeStep]) -> None:
    """Check that the steps can write what they leave, before the first one trains a model.

    Raises:
        InputError: two steps would leave the same, or one would replace what no command has made.
    """
    made: dict[Path, RecipeStep] = {}
    for step in steps:
        other = made.setdefault(step.leaves, step)
        if other is not step:
            raise InputError(
                f"{step.name} and {other.name} would both be written to {step.leaves}: give one of "
                "the methods another name"
            )
        if step.stage in TRAINING:
            check_model_folder(step.leaves)
        elif step.argv[0] == "evaluate":
            check_file(step.leaves, keys=RESULT_KEYS)
