"""What an evaluation leaves behind of the speakers to be forgotten, and its removal."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from asr_unlearn.data.manifest import REQUIRED
from asr_unlearn.evaluation.measures.registry import MEASURES
from asr_unlearn.evaluation.results import ORIGINAL
from asr_unlearn.models.config import read_config, task_of
from asr_unlearn.models.run_record import read_run
from asr_unlearn.runtime.cache import cache_folder
from asr_unlearn.runtime.documents import parse_json, read_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.checkpoint import DIGESTS

# Folders: work that was interrupted, replaced models, models that attacks trained, what recipes
# printed, and reports that TensorBoard got.
FOLDERS = (
    *("*.partial", "*.old-*", "checkpoint-*", "*.tensorboard"),
    *("informed", "shadows", "unlearned_shadows"),
)
# Folders of these names may be somebody else's: ours hold such a file.
MARKS = {"checkpoint-*": DIGESTS, "*.old-*": "run.json"}
# Files: predictions, states, what other processes printed, and reports.
FILES = (
    *("utterances.jsonl", "states.npz", "embeddings.npz", "divergence.json", "cka.json"),
    *("neighbours.json", "neighbours.log", "transcription.log"),
    *("informed.log", "shadows.log", "unlearned_shadows.log"),
    *(
        f"{name}{end}"
        for name in MEASURES
        for end in (".json", "-*.json", ".npz", ".log", "-*.log")
    ),
    *("best-*.weights", "report.md", "report.html"),
)
REPORTS = ("*-report.md", "*-report.html")
PRIVATE = "private-*"
# Entries of JSON files that name speakers.
OF_A_SPLIT, OF_RESULTS = {"forget_speakers", "parts"}, {"schema", "split", "models"}
# What cached files are in, and what tells a folder in which the program has written.
CACHE, CACHES = ".cache", {"features", "predictions", "recordings.json"}
LOGS, NOTES = "logs", ".*.key"
WRITTEN = ("run.json", "results.json", NOTES)


def remove_traces(out: Path) -> list[Path]:
    """Remove all that quotes or was computed from single utterances; returns what was removed.

    Private reports, models with their run.json and deletion record, and what the user gave stay.

    Raises:
        InputError: `out` holds no evaluation.
    """
    if not (out / "results.json").is_file() and not any(out.glob("*/deletion_record.json")):
        raise InputError(f"{out} holds no results.json and no deletion record; give --out's folder")
    removed = []
    # That of a folder seed1 is beside it.
    shared = cache_folder(out / "results.json")
    beside = [shared] if shared.parent != out and shared.is_dir() else []
    for path in [*beside, *_traces(out)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        path.with_name(f".{path.name}.key").unlink(missing_ok=True)
        removed.append(path)
    return removed


def remaining(out: Path) -> list[Path]:
    """What is in `out` that names the speakers or was trained on them.

    Models that were trained on the forget part, or that another one was unlearned from; manifests,
    splits and results.
    """
    folders = [place for place, _ in _places(out)]
    runs = {folder: _run(folder) for folder in folders}
    unlearned = {folder: run for folder, run in runs.items() if run.get("kind") == "unlearn"}
    sources = {
        Path(os.path.normpath(folder / run["original"]["path"]))
        for folder, run in unlearned.items()
        if "original" in run
    }
    models = {
        folder
        for folder in folders
        if (folder in sources and folder not in unlearned)
        or "forget" in runs[folder].get("options", {}).get("parts", ())
        or folder.name == ORIGINAL
    }
    files = (file for folder in folders for file in folder.glob("*.json*") if _names_speakers(file))
    corpora = {folder / "corpus" for folder in folders if (folder / "corpus").is_dir()}
    return [*sorted(models), *sorted(files), *sorted(corpora)]


def _run(folder: Path) -> dict[str, Any]:
    """The run.json of a folder; empty where it has none of ours."""
    with suppress(InputError):
        return read_run(folder)
    return {}


def _names_speakers(file: Path) -> bool:
    """Whether a file is a manifest, a split or the results of an evaluation."""
    with suppress(InputError, OSError, UnicodeDecodeError):
        if file.suffix == ".jsonl":
            with file.open(encoding="utf-8") as lines:
                rows = [parse_json(line) for line in islice(lines, 1)]
            return bool(rows) and isinstance(rows[0], dict) and rows[0].keys() >= REQUIRED
        keys = set(read_json(file)) if file.suffix == ".json" else set()
        return any(keys >= needed for needed in (OF_A_SPLIT, OF_RESULTS))
    return False


def classifiers(out: Path, left: Collection[Path]) -> list[Path]:
    """The configs of our models in `out` that name classes, without the models in `left`."""
    folders = {place for place, _ in _places(out)}.difference(left)
    settings = ("config.json", "run.json")
    models = [f for f in sorted(folders) if all((f / name).is_file() for name in settings)]
    return [
        folder / "config.json"
        for folder in models
        if task_of(read_config(str(folder))) == "classification"
    ]


def _traces(out: Path) -> Iterator[Path]:
    """The outermost files and folders with traces, without those behind links."""
    for here, names in _places(out):
        ours = [name for name in sorted(names) if _is_ours(here / name)]
        names -= set(ours)
        yield from (here / name for name in ours)
        if here == out or any(any(here.glob(mark)) for mark in WRITTEN):
            files = (path for path in sorted(here.iterdir()) if path.is_file())
            yield from (path for path in files if _is_trace(path))


def _places(out: Path) -> Iterator[tuple[Path, set[str]]]:
    """Each folder below `out`, and the set of its folders; what is taken out is not entered.

    A corpus is the user's own.
    """
    for place, folders, _ in os.walk(out):
        names = set(folders)
        yield Path(place), names
        folders[:] = sorted(names - {CACHE, "corpus"})


def _is_ours(folder: Path) -> bool:
    """Whether a folder is one that the program leaves behind, and not somebody else's."""
    if folder.name == CACHE:
        return any((folder / name).exists() for name in CACHES)
    if folder.name == LOGS:
        # Those of a recipe, which notes beside them what it made.
        return any(folder.parent.glob(NOTES))
    found = [MARKS.get(pattern) for pattern in FOLDERS if folder.match(pattern)]
    return any(mark is None or (folder / mark).is_file() for mark in found)


def _is_trace(file: Path) -> bool:
    if file.match(PRIVATE):
        return False
    if any(map(file.match, REPORTS)):
        stem = file.name.removesuffix(file.suffix).removesuffix("-report")
        return file.with_name(f"{stem}.json").is_file()
    return any(map(file.match, FILES))
