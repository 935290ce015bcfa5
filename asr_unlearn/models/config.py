"""The config of a model, and what it says before any weights are read."""

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig

from asr_unlearn.models.adapters import base_of
from asr_unlearn.models.checks import ModelError, unusable
from asr_unlearn.models.speechbrain_checkpoint import (
    WEIGHTS,
    speechbrain_config,
    speechbrain_folder,
)
from asr_unlearn.models.supported import CLASSES, TaskName, unsupported

# What transformers raises for settings of another kind than it wrote.
MALFORMED = (
    *(TypeError, LookupError, AttributeError, ArithmeticError, RecursionError),
    StrictDataclassError,
)


def read_config(source: str) -> Any:
    """A model's config; of adapters, that saved with them or else their base's.

    Raises:
        ModelError: there is none, the files beside it cannot be used, or the model's class is not
            supported.
    """
    if problem := unusable(Path(source)):
        raise ModelError(problem)
    if not (Path(source) / "config.json").exists() and (base := base_of(source)) is not None:
        return read_config(base)
    try:
        if (folder := speechbrain_folder(source)) is not None:
            return speechbrain_config(folder)
        content, _ = PreTrainedConfig.get_config_dict(source)
        # Before its class reads the config, which fails for some.
        if problem := unsupported(content):
            raise ModelError(f"{source}: {problem}")
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        if not all(isinstance(name, str) for name in config.architectures or ()):
            raise ModelError(f"{source}: its architectures are no list of names of classes")
        return config
    except ModelError:
        raise
    except (OSError, ValueError, *MALFORMED) as error:
        raise ModelError(cannot_load(source, error)) from error


def task_of(config: Any) -> TaskName:
    """The task of a model, by the class that its config names, else by its family."""
    for name in config.architectures or ():
        if name.endswith(("ForSequenceClassification", "ForAudioClassification")):
            return "classification"
    for task, names in CLASSES.items():
        if config.model_type in names:
            return task
    raise ModelError(unsupported(config.to_dict()))


def is_bare_config(source: str) -> bool:
    """Whether `source` is a config.json, or a folder with a config and no weights."""
    path = Path(source)
    if path.is_file():
        return path.suffix == ".json"
    has_weights = any(path.glob("*.safetensors")) or any(path.glob("*.safetensors.index.json"))
    has_weights |= (path / WEIGHTS).is_file()
    return (path / "config.json").is_file() and not has_weights


def cannot_load(source: str, error: Exception) -> str:
    """Why no model can be loaded from `source`, and what to give."""
    gone = "" if Path(source).exists() else "there is no such folder here; "
    return (
        f"cannot load a model from {source!r}: {gone}give a Hugging Face name that can be reached, "
        f"a folder with config.json and model.safetensors, or a config.json to train from scratch "
        f"({' '.join(str(error).split()) or type(error).__name__})"
    )
