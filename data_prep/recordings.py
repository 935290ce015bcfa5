"""The recordings below a folder: whatever their suffix's case, without what systems leave there."""

from collections.abc import Sequence
from pathlib import Path


def find_recordings(folder: Path, suffixes: Sequence[str], pattern: str = "*") -> dict[str, Path]:
    """Recordings by their path below `folder` without suffix, sorted by it.

    Names that begin with a dot, such as `._a.wav` and `.DS_Store`, are passed over, and so is
    everything below a folder of such a name. Where a recording is there in several formats, the
    first of `suffixes` is taken.
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
    """Whether a path below a corpus is, or lies in, what a system hides."""
    return any(part.startswith(".") for part in place.parts)


def sought(stem: Path, suffixes: Sequence[str]) -> Path:
    """A path that is nowhere, for a recording that is not there, telling what was looked for."""
    return stem.with_name(f"{stem.name}{{{','.join(suffixes)}}}")
