"""The retrained model, which all others are measured against: what may be called so."""

from collections.abc import Sequence

from asr_unlearn.saved import SavedModel
from asr_unlearn.split import Split

RETRAINED = "retrained"


def check_yardstick(models: Sequence[SavedModel], split: Split) -> None:
    """Raises ValueError where a retrained model's run.json says that it has met whom it must not.

    One that was made elsewhere says nothing, and is taken at its word.
    """
    for model in models:
        run = model.run()
        if model.name != RETRAINED or run.get("kind") != "train":
            continue
        if "forget" in (parts := run["options"]["parts"]):
            raise ValueError(
                f"{model.folder} is called retrained, but was trained on the parts "
                f"{', '.join(parts)}: `asr-unlearn train --parts retain` trains it"
            )
        if run.get("request", split.digest) != split.digest:
            raise ValueError(
                f"{model.folder} was retrained for another split, and may have been trained on "
                "those to be forgotten here: train it again"
            )


def unmeasured(models: Sequence[SavedModel]) -> list[SavedModel]:
    """Models of seeds of which there is no retrained one, where there is one of another seed."""
    seeds = {model.seed for model in models if model.name == RETRAINED}
    return [model for model in models if model.seed not in seeds] if seeds else []
