"""Read the lists of a corpus, one recording a line."""

import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import read_text

SUFFIX = re.compile(r"\.(wav|flac|raw|sph|ogg|opus|mp3|m4a)$", re.IGNORECASE)


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Number and text of every line that is not blank, without white space at its ends.

    Raises:
        InputError: not UTF-8.
    """
    # Not splitlines: a transcript may hold what Unicode takes for the end of a line.
    lines = enumerate(read_text(path).split("\n"), start=1)
    return [(number, text) for number, line in lines if (text := line.strip())]


def key_of(path: str, parts: int) -> str:
    """The last `parts` of a path with either kind of slash, without the suffix of a recording."""
    names = [name for name in re.split(r"[/\\]+", path) if name not in ("", ".")]
    return SUFFIX.sub("", "/".join(names[-parts:]))


def check_matches(path: Path, keys: Iterable[str], known: Collection[str]) -> None:
    """Print how many lines of the list at `path` name none of the `known` recordings.

    Raises:
        InputError: no line names one.
    """
    listed = list(keys)
    lost = [key for key in listed if key not in known]
    message = f"{path}: {len(lost)} of {len(listed)} lines name no recording of this corpus"
    if len(lost) == len(listed):
        example = f", such as {lost[0]!r}" if lost else ""
        raise InputError(f"{message}{example}; correct its paths, or remove the list")
    if lost:
        print(f"{message}, such as {lost[0]!r}", file=sys.stderr)
