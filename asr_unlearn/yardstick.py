"""The retrained model, which all others are measured against: what may be called so."""

from collections.abc import Sequence

from asr_unlearn.errors import InputError
from asr_unlearn.saved import SavedModel
from asr_unlearn.split import Split

RETRAINED = "retrained"


def check_yardstick(models: Sequence[SavedModel], split: Split) -> None:
    """Raises ValueError where a model called retrained has met whom it must not, as it says."""
    for model in models:
        if model.name == RETRAINED and (why := model.acquaintance(split, ["forget"])):
            raise InputError(f"{model.folder} is called retrained, but is not: {why}")


def unmeasured(models: Sequence[SavedModel]) -> list[SavedModel]:
    """Models of seeds of which there is no retrained one, where there is one of another seed."""
    seeds = {model.seed for model in models if model.name == RETRAINED}
    return [model for model in models if model.seed not in seeds] if seeds else []
