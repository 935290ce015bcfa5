"""Download archives with resumption and checksums, and extract them safely."""

import bz2
import gzip
import hashlib
import http.client
import json
import lzma
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from asr_unlearn.runtime.errors import AsrUnlearnError
from asr_unlearn.runtime.file_state import FileState
from asr_unlearn.runtime.io import naming, write_json
from asr_unlearn.runtime.progress import Bar

GIB = 1024**3
# An archive of recordings unpacks to a few times its size; one that goes on and on fills the disk.
EXPANSION, LEAST_MOST = 20, GIB
# The first bytes of compressed files.
GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
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
            Bar(total=total, initial=start, desc=part.stem, unit="B", unit_scale=True) as bar,
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
        Bar.wrapattr(file, "read", total=size, desc=algorithm, unit="B", unit_scale=True) as stream,
    ):
        digest = hashlib.new(algorithm, usedforsecurity=False)
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check(archive: Archive, path: Path) -> None:
    """Raises ArchiveError where a file is not the published archive."""
    if (expected := archive.checksum) and (found := _digest(path, expected[0])) != expected[1]:
        raise ArchiveError(
            f"{path}: {expected[0]} is {found}, but that of the published {archive.filename} is "
            f"{expected[1]}; fetch it again, or give --no-checksum for an archive of your own"
        )


def extract(archive: Path, target: Path, *, most: int | None = None) -> None:
    """Extract a tar archive into `target`, whole or not at all; a second call does nothing.

    Only regular files and folders inside `target` are accepted; links, which `tarfile`'s "data"
    filter allows, are not. Owners and modes are not extracted. The archive is read to its end, so
    that the checksum of gzip, bzip2 or xz counts.

    Args:
        archive: compressed or not.
        target: folder to extract into.
        most: bytes that it may unpack to; by default `EXPANSION` times its own, or `LEAST_MOST`.

    Raises:
        ArchiveError: naming the archive and the member, before anything is written to `target`.
    """
    marker = target / f".{archive.name}.completed"
    if _is_extracted(archive, target, marker):
        return
    partial = target / f".{archive.name}.extracting"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    last, size = ".", archive.stat().st_size
    if most is None:
        most = max(EXPANSION * size, LEAST_MOST)
    try:
        with (
            archive.open("rb") as file,
            _decompressed(file) as stream,
            Bar(total=size, desc=f"extracting {archive.name}", unit="B", unit_scale=True) as bar,
        ):
            bounded = _Bounded(stream, archive, most)
            with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r|") as members:
                for member in members:
                    bounded.expect(member.size)
                    _unpack(members, member, partial, archive)
                    bar.update(file.tell() - bar.n)
                    last = member.name
            # tarfile takes a damaged header for the end.
            while rest := bounded.read(1 << 20):
                if rest.strip(b"\0"):
                    raise ArchiveError(f"{archive}: damaged behind {last!r}")
        _merge(partial, target)
        state = asdict(FileState.of(archive))
        write_json(marker, {"archive": state, "last": os.fsencode(last).hex()})
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ArchiveError(f"{archive}: damaged or no tar archive: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_extracted(archive: Path, target: Path, marker: Path) -> bool:
    """Whether the archive was extracted as it is now, and its last member is still there."""
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        # Names of members may hold bytes that are not UTF-8.
        last = target / os.fsdecode(bytes.fromhex(content["last"]))
        state = FileState.read(content["archive"])
    # Earlier versions wrote the name of the last member only.
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        return False
    return state is not None and last.exists() and state.fits(archive)


def _decompressed(file: BinaryIO) -> BinaryIO:
    """The content of a file that may be compressed; its first bytes say how."""
    start = file.read(len(XZ))
    file.seek(0)
    if start.startswith(GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if start.startswith(BZIP2):
        return cast(BinaryIO, bz2.BZ2File(file))
    return cast(BinaryIO, lzma.LZMAFile(file)) if start == XZ else file


class _Bounded:
    """A stream that raises ArchiveError behind a number of bytes."""

    def __init__(self, stream: BinaryIO, archive: Path, most: int) -> None:
        self._stream, self._archive, self._most = stream, archive, most
        self._read = self._expected = 0

    def read(self, size: int) -> bytes:
        try:
            block = self._stream.read(size)
        # What BZ2File raises for damaged content.
        except OSError as error:
            if error.errno is not None:
                raise
            raise ArchiveError(f"{self._archive}: damaged: {error}") from error
        self._read += len(block)
        self._check(self._read)
        return block

    def expect(self, size: int) -> None:
        """Add the size of a member, which may be sparse: larger than what is read of it."""
        self._expected += size
        self._check(self._expected)

    def _check(self, size: int) -> None:
        if size > self._most:
            raise ArchiveError(
                f"{self._archive}: refused, it unpacks to more than {self._most / GIB:.3g} GiB; "
                "give --max-unpacked GIB if that is right"
            )


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
