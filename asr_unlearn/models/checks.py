"""Checks of a model's folder: why a model cannot be loaded from it, and the remedy."""

import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from asr_unlearn.runtime.errors import InputError

# The files of each half of a processor: one of them is enough.
HALVES = {
    "feature extractor": ("preprocessor_config.json", "processor_config.json"),
    "tokenizer": ("tokenizer_config.json", "tokenizer.json", "vocab.json"),
}
SAVING = {
    "ctc": "Wav2Vec2Processor(feature_extractor, tokenizer)",
    "seq2seq": "WhisperProcessor(feature_extractor, tokenizer)",
    "classification": "feature_extractor",
}
# The prefixes that torch.compile and DistributedDataParallel give the names of weights.
WRAPPERS = r"^((?:_orig_mod\.|module\.)+)"
ADAPTER = re.compile(r"lora_|base_layer\.|^base_model\.model\.")


class ModelError(InputError):
    """A model that cannot be loaded; the message names it and the remedy."""


def models_in(folder: Path) -> list[str]:
    """The models in a folder, or in the folders of its seeds."""
    configs = [*folder.glob("*/config.json"), *folder.glob("seed*/*/config.json")]
    return sorted(config.parent.relative_to(folder).as_posix() for config in configs)


def unusable(folder: Path) -> str | None:
    """Why no model can be loaded from a folder, and the remedy; None if one may be.

    A path that does not exist counts as a Hugging Face name unless it can only be a path.
    """
    depth = len(folder.parts)
    if not folder.exists() and (depth > 2 or (depth == 2 and folder.parent.is_dir())):
        found = ", ".join(models_in(folder.parent)) or "no models"
        return f"there is no model folder {folder}; in {folder.parent} there are {found}"
    if any(folder.glob("pytorch_model*.bin")) and not any(folder.glob("*.safetensors")):
        return (
            f"{folder} has its weights in pytorch_model.bin only, which may carry code: convert "
            f"those you trust, from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
        )
    return None


def damaged(source: str, error: Exception) -> str:
    """The message for weights that cannot be read."""
    files = ", ".join(map(str, sorted(Path(source).glob("*.safetensors")))) or source
    return f"{files} is damaged ({error}); copy it again, or make the model again"


def lacking_halves(folder: Path, task: str) -> list[str]:
    """The halves of a processor that a folder lacks; a classifier needs no tokenizer."""
    wanted = ["feature extractor"] if task == "classification" else list(HALVES)
    return [half for half in wanted if not any((folder / name).is_file() for name in HALVES[half])]


def without_processor(source: str, task: str) -> str:
    """The message for a model without a complete processor."""
    lacking = lacking_halves(Path(source), task) if Path(source).is_dir() else []
    return (
        f"{source} has no {' and no '.join(lacking) or 'processor that can be read'}: save what "
        f"it was trained with, {SAVING[task]}.save_pretrained(FOLDER)"
    )


def wrapper(folder: Path) -> str | None:
    """The prefix that a wrapper gave the names of a folder's weights; None without one."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                found = [match for name in file.keys() if (match := re.match(WRAPPERS, name))]  # noqa: SIM118
        except SafetensorError:
            # Loading the weights raises the error.
            return None
        if found:
            return found[0][1]
    return None


def lacking_weights(source: str, lacking: Sequence[str], others: Sequence[str]) -> str:
    """The message for weights that a model lacks, given the unexpected names in its files."""
    said = (
        f"{source} lacks {len(lacking)} of the model's weights, which would be random: "
        f"{', '.join(lacking[:3])} …"
    )
    if any(ADAPTER.search(name) for name in others):
        return (
            f"{said}; adapters (LoRA) must be merged before a model is saved (`merge_and_unload()`)"
        )
    instead = f"; it has {', '.join(others[:3])} … in their place" if others else ""
    return f"{said}{instead}; save the whole model again, model.save_pretrained(FOLDER)"
