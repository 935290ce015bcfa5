"""Find the recordings below a folder, ignoring hidden files and the suffix' case."""

from collections.abc import Sequence
from pathlib import Path


def find_recordings(folder: Path, suffixes: Sequence[str], pattern: str = "*") -> dict[str, Path]:
    """Recordings by their path below `folder` without suffix, sorted by it.

    Hidden files such as `._a.wav` and `.DS_Store`, and hidden folders, are ignored. Of a recording
    in several formats the first of `suffixes` is taken.
    """
    rank = {suffix: number for number, suffix in enumerate(suffixes)}
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(pattern)):
        place = path.relative_to(folder)
        suffix = path.suffix.lower()
        if suffix not in rank or is_hidden(place):
            continue
        key = place.with_suffix("").as_posix()
        if key not in found or rank[suffix] < rank[found[key].suffix.lower()]:
            found[key] = path
    return dict(sorted(found.items()))


def is_hidden(place: Path) -> bool:
    """Whether a path is a hidden file or in a hidden folder."""
    return any(part.startswith(".") for part in place.parts)


def sought(stem: Path, suffixes: Sequence[str]) -> Path:
    """A path for the message about a missing recording, with the suffixes that were tried."""
    return stem.with_name(f"{stem.name}{{{','.join(suffixes)}}}")
