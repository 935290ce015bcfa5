"""What stands in a model's folder: what keeps it from being used, and what to do about it."""

import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

# Any file of a half tells that it is there.
HALVES = {
    "feature extractor": ("preprocessor_config.json", "processor_config.json"),
    "tokenizer": ("tokenizer_config.json", "tokenizer.json", "vocab.json"),
}
SAVING = {
    "ctc": "Wav2Vec2Processor(feature_extractor, tokenizer)",
    "seq2seq": "WhisperProcessor(feature_extractor, tokenizer)",
    "classification": "feature_extractor",
}


# What torch.compile and DistributedDataParallel put before the names of a model's weights.
WRAPPERS = r"^((?:_orig_mod\.|module\.)+)"
ADAPTER = re.compile(r"lora_|base_layer\.|^base_model\.model\.")


def models_in(folder: Path) -> list[str]:
    """The models that stand in a folder, or in those of its seeds."""
    configs = [*folder.glob("*/config.json"), *folder.glob("seed*/*/config.json")]
    return sorted(config.parent.relative_to(folder).as_posix() for config in configs)


def unusable(folder: Path) -> str | None:
    """Why no model can be loaded from a folder, and what helps; None if one may be.

    What is not there is taken for a Hugging Face name unless it can only be a path.
    """
    depth = len(folder.parts)
    if not folder.exists() and (depth > 2 or (depth == 2 and folder.parent.is_dir())):
        found = ", ".join(models_in(folder.parent)) or "no models"
        return f"there is no model folder {folder}; in {folder.parent} there are {found}"
    if (folder / "adapter_config.json").is_file():
        return (
            f"{folder} holds an adapter: merge it into its base model first, "
            "model.merge_and_unload().save_pretrained(FOLDER), and save the processor there too"
        )
    if any(folder.glob("pytorch_model*.bin")) and not any(folder.glob("*.safetensors")):
        return (
            f"{folder} has its weights in pytorch_model.bin only, which may carry code: convert "
            f"those you trust, from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
        )
    return None


def damaged(source: str, error: Exception) -> str:
    """That weights cannot be read, in which file or files of shards, and what to do."""
    files = ", ".join(map(str, sorted(Path(source).glob("*.safetensors")))) or source
    return f"{files} is damaged ({error}); copy it again, or make the model again"


def lacking_halves(folder: Path, task: str) -> list[str]:
    """The halves of a processor that a folder does not hold; a classifier spells nothing."""
    wanted = ["feature extractor"] if task == "classification" else list(HALVES)
    return [half for half in wanted if not any((folder / name).is_file() for name in HALVES[half])]


def without_processor(source: str, task: str) -> str:
    """What a model lacks that has no whole processor of its own, and how to save it."""
    lacking = lacking_halves(Path(source), task) if Path(source).is_dir() else []
    return (
        f"{source} has no {' and no '.join(lacking) or 'processor that can be read'}: save what "
        f"it was trained with, {SAVING[task]}.save_pretrained(FOLDER)"
    )


def wrapper(folder: Path) -> str | None:
    """Returns the prefix that a wrapper gave the names of a folder's weights, None without one."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                found = [match for name in file.keys() if (match := re.match(WRAPPERS, name))]  # noqa: SIM118
        except SafetensorError:
            # Whoever loads the weights says so.
            return None
        if found:
            return found[0][1]
    return None


def lacking_weights(source: str, lacking: Sequence[str], others: Sequence[str]) -> str:
    """Returns what to do about weights that a model lacks, given the names that it has instead."""
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
