"""Recordings measured: decoded once, on all cores, or the reason why they cannot be."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from asr_unlearn.data.audio import AudioError, load_audio, read_content


@dataclass(frozen=True)
class Recording:
    """What a file holds, or the reason, with its detail, why it is of no use."""

    samples: int = 0
    sha256: str | None = None
    reason: str = ""
    detail: str = ""


def measure(paths: Sequence[Path], workers: int | None, progress: bool) -> Iterator[Recording]:
    """Yields what each file holds, in order, decoded on all cores or by so many `workers`."""
    # Threads, not processes: libsndfile and soxr let go of the interpreter lock while they work,
    # so threads fill the cores as well and have nothing to pickle and no module to import again.
    show = partial(tqdm, total=len(paths), desc="checking audio", unit="file", disable=not progress)
    with ThreadPoolExecutor(workers) as pool:
        yield from show(pool.map(_listen, paths))


def _listen(path: Path) -> Recording:
    try:
        if not path.is_file():
            return Recording(reason="missing audio", detail=f"no file {path}")
        content = read_content(path, str(path))
        samples = len(load_audio(content, name=str(path)))
    except AudioError as error:
        return Recording(reason="undecodable audio", detail=str(error))
    except OSError as error:
        return Recording(reason="missing audio", detail=f"{path}: {error.strerror}")
    return Recording(samples, hashlib.sha256(content).hexdigest())
