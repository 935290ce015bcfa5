"""What an evaluation leaves behind of the speakers to be forgotten, and its removal."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from asr_unlearn.evaluation.measures.registry import MEASURES
from asr_unlearn.models.config import read_config, task_of
from asr_unlearn.runtime.cache import cache_folder
from asr_unlearn.runtime.errors import InputError

# Folders: work that was interrupted, replaced models, models that attacks trained, what recipes
# printed, and reports that TensorBoard got.
FOLDERS = (
    *("*.partial", "*.old-*", "checkpoint-*", "logs", "*.tensorboard"),
    *("informed", "shadows", "unlearned_shadows"),
)
# Files: predictions, which earlier versions kept in a model's folder, states, what other processes
# printed, and reports.
FILES = (
    *("utterances.jsonl", "states.npz", "embeddings.npz", "divergence.json", "cka.json"),
    *("neighbours.json", "neighbours.log", "transcription.log"),
    *("informed.log", "shadows.log", "unlearned_shadows.log"),
    *(
        f"{name}{end}"
        for name in MEASURES
        for end in (".json", "-*.json", ".npz", ".log", "-*.log")
    ),
    *(
        "best-*.weights",
        "best-*.safetensors",
        "report.md",
        "report.html",
        "*-report.md",
        "*-report.html",
    ),
)
PRIVATE = "private-*"
# What purge leaves to its owner, since it holds or is made from the speakers.
INPUTS = ("original", "manifest.jsonl", "split.json", "results.json", "corpus")


def remove_traces(out: Path) -> list[Path]:
    """Remove all that quotes or was computed from single utterances; returns what was removed.

    Private reports, models with their run.json and deletion record, and what the user gave stay.

    Raises:
        InputError: `out` holds no evaluation.
    """
    if not (out / "results.json").is_file() and not any(out.glob("*/deletion_record.json")):
        raise InputError(f"{out} holds no results.json and no deletion record; give --out's folder")
    removed = []
    cache = cache_folder(out / "results.json")
    for path in [*([cache] if cache.is_dir() else []), *_traces(out)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        path.with_name(f".{path.name}.key").unlink(missing_ok=True)
        removed.append(path)
    return removed


def remaining(out: Path) -> list[Path]:
    """The inputs and results in `out` that name the speakers or were made from them."""
    folders = [out, *sorted(path for path in out.glob("seed*") if path.is_dir())]
    return [folder / name for folder in folders for name in INPUTS if (folder / name).exists()]


def classifiers(out: Path) -> list[Path]:
    """The configs of our models in `out` that name classes, without those of `remaining`."""
    folders = [out, *sorted(path for path in out.glob("seed*") if path.is_dir())]
    found = (path for folder in folders for path in sorted(folder.glob("*/config.json")))
    ours = (path.parent for path in found if (path.parent / "run.json").is_file())
    models = (folder for folder in ours if folder.name not in INPUTS)
    return [
        folder / "config.json"
        for folder in models
        if task_of(read_config(str(folder))) == "classification"
    ]


def _traces(out: Path) -> Iterator[Path]:
    """The outermost files and folders with traces, without those behind links."""
    for place, folders, files in os.walk(out):
        here = Path(place)
        traces = [name for name in folders if _matches(name, FOLDERS)]
        yield from (here / name for name in sorted(traces))
        # A corpus is the user's own.
        folders[:] = [name for name in folders if name not in {*traces, ".cache", "corpus"}]
        yield from (here / name for name in sorted(files) if _matches(name, FILES))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    path = Path(name)
    return any(map(path.match, patterns)) and not path.match(PRIVATE)
