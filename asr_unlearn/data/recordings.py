"""Measure recordings: decode each one, on all cores."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asr_unlearn.data.audio import AudioError, TooLongError, load_audio, read_content
from asr_unlearn.runtime.progress import Bar
from asr_unlearn.runtime.threads import mapped


@dataclass(frozen=True)
class Recording:
    """The length and digest of a recording, or the reason why it cannot be used."""

    samples: int = 0
    sha256: str | None = None
    reason: str = ""
    detail: str = ""


def measure(
    paths: Sequence[Path], workers: int | None, progress: bool, longest: float
) -> Iterator[Recording]:
    """Yield the measured recordings in order, decoded on all cores or by `workers` threads.

    Of a recording no more than `longest` seconds are decoded.
    """
    # Threads, not processes: libsndfile and soxr release the interpreter lock while they work.
    show = partial(Bar, total=len(paths), desc="checking audio", unit="file", disable=not progress)
    yield from show(mapped(partial(_measured, longest=longest), paths, workers))


def _measured(path: Path, longest: float) -> Recording:
    try:
        if not path.is_file():
            return Recording(reason="missing audio", detail=f"no file {path}")
        content = read_content(path, str(path), longest)
        samples = len(load_audio(content, name=str(path), longest=longest))
    except TooLongError as error:
        return Recording(reason="too long", detail=str(error))
    except AudioError as error:
        return Recording(reason="undecodable audio", detail=str(error))
    except OSError as error:
        return Recording(reason="missing audio", detail=f"{path}: {error.strerror}")
    return Recording(samples, hashlib.sha256(content).hexdigest())
