"""Download archives with resumption and checksums, and extract them safely."""

import hashlib
import http.client
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from asr_unlearn.runtime.errors import AsrUnlearnError
from asr_unlearn.runtime.io import naming

RETRIED_STATUS = {408, 429, 500, 502, 503, 504}


class ArchiveError(AsrUnlearnError):
    """An archive that cannot be downloaded, has another checksum, or must not be extracted."""


@dataclass(frozen=True)
class Archive:
    """A published archive, and the checksum that its publisher gives."""

    url: str
    md5: str | None = None
    sha256: str | None = None

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    @property
    def checksum(self) -> tuple[str, str] | None:
        """The name of the algorithm and the hex digits; None without a checksum."""
        checksums = (("md5", self.md5), ("sha256", self.sha256))
        return next(((name, digits) for name, digits in checksums if digits is not None), None)


def download(
    archive: Archive,
    folder: Path,
    *,
    verify: bool = True,
    attempts: int = 5,
    pause_seconds: float = 1.0,
) -> Path:
    """Download into `folder`, continuing a `.part` file of an earlier call; returns the file.

    Args:
        archive: to download.
        folder: for the file.
        verify: check the checksum.
        attempts: tries in a row without new bytes; the pause doubles with each.
        pause_seconds: before the first retry.

    Raises:
        ArchiveError: all attempts failed, the checksum is unknown though `verify` is on, or it is
            wrong: then the file is kept as `.corrupt`.
    """
    expected = archive.checksum if verify else None
    if verify and expected is None:
        raise ArchiveError(
            f"no checksum is known for {archive.filename}: give its md5 with --md5, "
            "or --no-checksum to trust the connection"
        )
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / archive.filename
    part = folder / f"{archive.filename}.part"
    arrived = final if final.exists() else part
    if arrived is part:
        _fetch(archive.url, part, attempts, pause_seconds)
    if expected and (found := _digest(arrived, expected[0])) != expected[1]:
        corrupt = arrived.replace(folder / f"{archive.filename}.corrupt")
        raise ArchiveError(
            f"{archive.filename}: {expected[0]} is {found}, expected {expected[1]}; "
            f"moved to {corrupt}, run again for a fresh copy"
        )
    return arrived.replace(final)


def _fetch(url: str, part: Path, attempts: int, pause_seconds: float) -> None:
    fruitless = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        reason = "the connection closed early"
        try:
            if _append(url, part, before):
                return
        except urllib.error.HTTPError as error:
            reason = f"the server returned {error.code} {error.reason}"
            if error.code == 416 and before:
                # There are no bytes after ours: either the file is complete, or it is another file.
                if error.headers.get("Content-Range") == f"bytes */{before}":
                    return
                part.unlink()
            elif error.code not in RETRIED_STATUS:
                raise ArchiveError(f"{url}: {reason}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error))
        came = part.exists() and part.stat().st_size > before
        fruitless = 0 if came else fruitless + 1
        if fruitless >= attempts:
            raise ArchiveError(f"{url}: {reason}; run again to continue from what has arrived")
        time.sleep(pause_seconds * 2**fruitless)


def _append(url: str, part: Path, held: int) -> bool:
    """Request what follows the first `held` bytes; returns whether the file is complete."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={held}-"} if held else {})
    with urllib.request.urlopen(request, timeout=60) as response:
        # A server that ignores Range returns 200 and sends all of it again.
        start = held if response.status == 206 else 0
        span = response.headers.get("Content-Range", f"bytes {start}-")
        if not span.startswith(f"bytes {start}-"):
            raise http.client.HTTPException(f"requested bytes from {start}, received {span!r}")
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        with (
            part.open("ab" if start else "wb") as file,
            tqdm(total=total, initial=start, desc=part.stem, unit="B", unit_scale=True) as bar,
        ):
            while block := response.read(1 << 20):
                with naming(part):
                    file.write(block)
                bar.update(len(block))
    return total is None or part.stat().st_size == total


def _digest(path: Path, algorithm: str) -> str:
    size = path.stat().st_size
    with (
        path.open("rb") as file,
        tqdm.wrapattr(
            file, "read", total=size, desc=algorithm, unit="B", unit_scale=True
        ) as stream,
    ):
        digest = hashlib.new(algorithm, usedforsecurity=False)
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def extract(archive: Path, target: Path) -> None:
    """Extract a tar archive into `target`, whole or not at all; a second call does nothing.

    Only regular files and folders inside `target` are accepted; links, which `tarfile`'s "data"
    filter allows, are not. Owners and modes are not extracted.

    Raises:
        ArchiveError: naming the archive and the member, before anything is written to `target`.
    """
    marker = target / f".{archive.name}.completed"
    # Names of members may hold bytes that are not UTF-8.
    if marker.exists() and (target / os.fsdecode(marker.read_bytes())).exists():
        return
    partial = target / f".{archive.name}.extracting"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    last, size = ".", archive.stat().st_size
    try:
        with (
            archive.open("rb") as file,
            tarfile.open(fileobj=file, mode="r|*") as members,
            tqdm(total=size, desc=f"extracting {archive.name}", unit="B", unit_scale=True) as bar,
        ):
            for member in members:
                _unpack(members, member, partial, archive)
                bar.update(file.tell() - bar.n)
                last = member.name
        _merge(partial, target)
        marker.write_bytes(os.fsencode(last))
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ArchiveError(f"{archive}: damaged or no tar archive: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unpack(members: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(f"{archive}: refused, {member.name!r} lies outside the target folder")
    destination = folder / path
    if member.isdir():
        destination.mkdir(parents=True, exist_ok=True)
    elif member.isreg() and (content := members.extractfile(member)):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with naming(destination), destination.open("wb") as file:
            shutil.copyfileobj(content, file)
    else:
        raise ArchiveError(f"{archive}: refused, {member.name!r} is a link or a device")


def _merge(source: Path, target: Path) -> None:
    """Move the entries of `source` into `target`, merging folders."""
    for entry in source.iterdir():
        destination = target / entry.name
        if entry.is_dir() and destination.is_dir():
            _merge(entry, destination)
        else:
            entry.replace(destination)
