"""A recogniser that has met neither the forget speakers nor the strangers: who of them is hard?

The model that is to forget cannot say, for it knows the forget speakers by heart. A small one,
trained from scratch on the retain set in a minute or two, hears all of them as strangers, and has
trouble with the same people. Attacks on membership use reference models likewise (Watson et al.,
arXiv 2111.08440).
"""

from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.errors import InputError
from asr_unlearn.inputs import Inputs
from asr_unlearn.saved import SavedModel
from asr_unlearn.scoring import Score, level
from asr_unlearn.split import PARTS, Split

# To one that mishears more than this, everybody is as hard as everybody else.
TOO_MANY_ERRORS = 0.5


def check_outsider(folder: Path, split: Split) -> None:
    """See that there is such a model, which was not trained on those whom it is to judge.

    Raises:
        ValueError: there is none, or its run.json says that it was.
    """
    if not folder.is_dir():
        raise InputError(f"--stop.outsider {folder}: there is no such model folder")
    others = [part for part in PARTS if part != "retain"]
    if why := SavedModel.at(folder).acquaintance(split, others):
        raise InputError(f"{folder} is no outsider: {why}")


def outsider_inputs(folder: Path, inputs: Inputs) -> Inputs:
    """The outsider at `folder`, and the recordings as `inputs` reads them."""
    return Inputs(SavedModel.at(folder).task(inputs.task.device), load=inputs.load)


def check_learned(folder: Path, strangers: Sequence[Score]) -> None:
    """Raises ValueError where the outsider has not learned enough to tell who is hard."""
    if (errors := level(strangers).cer) > TOO_MANY_ERRORS:
        raise InputError(
            f"the outsider {folder} mishears {errors:.0%} of what strangers say, and cannot tell "
            "who of them is hard: train it longer, or leave --stop.outsider out"
        )


def training_seconds(folder: Path) -> float:
    """What it took to train it, which is part of what unlearning costs; 0 if nobody knows."""
    return float(SavedModel.at(folder).run().get("seconds", 0.0))
