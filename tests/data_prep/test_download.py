"""Downloads survive bad servers, and extraction survives bad archives."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import librispeech
from data_prep.download import Archive, ArchiveError, download, extract

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `drops` says after how many bytes each of the next responses breaks off."""

    drops: list[int]
    ranges: bool
    status: int
    requested: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requested.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(wanted[len("bytes=") : -1]) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.drops.pop(0)] if self.server.drops else body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(drops: list[int], *, ranges: bool = True, status: int = 200) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.drops, server.ranges, server.status, server.requested = drops, ranges, status, []
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def archive(server: Server, md5: str | None = MD5) -> Archive:
    return Archive(f"http://127.0.0.1:{server.server_port}/speech.tar.gz", md5)


fetch = partial(download, pause_seconds=0.0)


def test_a_dropped_connection_is_continued(tmp_path: Path) -> None:
    with serving([100_000, 50_000]) as server:
        path = fetch(archive(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.requested == [None, "bytes=100000-", "bytes=150000-"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_later_call_continues_what_an_earlier_one_left(tmp_path: Path) -> None:
    with serving([100_000] + [0] * 9) as server:
        with pytest.raises(ArchiveError, match="run again to continue"):
            fetch(archive(server), tmp_path, attempts=2)
        assert [p.name for p in tmp_path.iterdir()] == ["speech.tar.gz.part"]
        server.drops.clear()
        server.requested.clear()
        assert fetch(archive(server), tmp_path).read_bytes() == CONTENT
    assert server.requested == ["bytes=100000-"]


def test_from_a_server_without_ranges_everything_is_downloaded_again(tmp_path: Path) -> None:
    with serving([100_000], ranges=False) as server:
        assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


@settings(deadline=None, max_examples=15)
@given(drops=st.lists(st.integers(1, 120_000), max_size=5), held=st.integers(0, len(CONTENT)))
def test_any_pattern_of_drops_gives_the_file(
    drops: list[int], held: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("data")
    (folder / "speech.tar.gz.part").write_bytes(CONTENT[:held])
    with serving(list(drops)) as server:
        assert fetch(archive(server), folder).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "speech.tar.gz.part").write_bytes(CONTENT + b"more")
    with serving([]) as server:
        assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_the_file_kept_aside(tmp_path: Path) -> None:
    with serving([]) as server:
        with pytest.raises(ArchiveError, match=f"md5 is {MD5}, expected 0000"):
            fetch(archive(server, "0000"), tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["speech.tar.gz.corrupt"]
        assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


def test_a_sha256_is_checked_where_the_publisher_tells_one(tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    with serving([]) as server:
        pinned = replace(archive(server, None), sha256=digest)
        assert fetch(pinned, tmp_path / "right").read_bytes() == CONTENT
        with pytest.raises(ArchiveError, match=f"sha256 is {digest}, expected 0000"):
            fetch(replace(pinned, sha256="0000"), tmp_path / "wrong")


def test_an_unknown_checksum_must_be_waived(tmp_path: Path) -> None:
    with serving([]) as server:
        with pytest.raises(ArchiveError, match="--no-checksum"):
            fetch(archive(server, None), tmp_path)
        assert server.requested == []
        assert fetch(archive(server, None), tmp_path, verify=False).read_bytes() == CONTENT


def test_a_missing_archive_fails_at_once(tmp_path: Path) -> None:
    with serving([], status=404) as server, pytest.raises(ArchiveError, match="404"):
        fetch(archive(server), tmp_path)
    assert len(server.requested) == 1


def tarred(path: Path, members: list[tuple[str, bytes | tarfile.TarInfo]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.name = name
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                tar.addfile(member)
    return path


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("../escape.txt", b"x", "outside"),
        ("corpus/../../escape.txt", b"x", "outside"),
        ("/escape.txt", b"x", "outside"),
        ("..", special(tarfile.DIRTYPE), "outside"),
        ("corpus/link", special(tarfile.SYMTYPE, "/etc"), "link or a device"),
        ("corpus/link", special(tarfile.SYMTYPE, "good.txt"), "link or a device"),
        ("corpus/link", special(tarfile.LNKTYPE, "corpus/good.txt"), "link or a device"),
        ("corpus/device", special(tarfile.CHRTYPE), "link or a device"),
        ("corpus/disk", special(tarfile.BLKTYPE), "link or a device"),
        ("corpus/pipe", special(tarfile.FIFOTYPE), "link or a device"),
    ],
)
def test_a_hostile_archive_leaves_nothing_behind(
    tmp_path: Path, name: str, content: bytes | tarfile.TarInfo, complaint: str
) -> None:
    members = [("corpus/good.txt", b"good"), (name, content), ("corpus/late.txt", b"late")]
    path = tarred(tmp_path / "bad.tar.gz", members)
    target = tmp_path / "inner" / "target"
    with pytest.raises(ArchiveError, match=rf"bad\.tar\.gz: refused, '{name}' .*{complaint}"):
        extract(path, target)
    assert list(target.iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.tar.gz", "inner"]


def test_a_damaged_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(200_000)
    path = tarred(tmp_path / "cut.tar.gz", [("corpus/a", noise), ("corpus/b", noise)])
    path.write_bytes(path.read_bytes()[:250_000])
    with pytest.raises(ArchiveError, match=r"cut\.tar\.gz: damaged"):
        extract(path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, compression: str) -> None:
    """Recordings of noise, which no decoder of a compressed file would find fault with."""
    rng = np.random.default_rng(0)
    members = {f"corpus/{name}.wav": rng.bytes(3000) for name in "abcde"}
    path = tmp_path / f"speech.tar.{compression}"
    with tarfile.open(path, f"w:{compression}") as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 60, dtype=int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        target = tmp_path / f"target-{place}"
        try:
            extract(path, target)
        except ArchiveError:
            assert list(target.iterdir()) == []
        else:
            # A flip in the header, such as of the time, changes no content.
            assert {name: (target / name).read_bytes() for name in members} == members


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "plain.tar"
    with tarfile.open(path, "w:") as tar:
        for name in "abc":
            member = tarfile.TarInfo(name)
            member.size = 40_000
            tar.addfile(member, io.BytesIO(bytes([1]) * 40_000))
    content = bytearray(path.read_bytes())
    content[512 + 40_448 + 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"plain\.tar: damaged behind 'a'"):
        extract(path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_an_archive_that_unpacks_to_more_than_allowed_is_refused(tmp_path: Path) -> None:
    path = tarred(tmp_path / "bomb.tar.gz", [("corpus/zeros", bytes(5_000_000))])
    with pytest.raises(ArchiveError, match=r"bomb\.tar\.gz: refused, .* --max-unpacked"):
        extract(path, tmp_path / "target", most=4_900_000)
    assert list((tmp_path / "target").iterdir()) == []
    extract(path, tmp_path / "target", most=5_100_000)
    assert (tmp_path / "target" / "corpus" / "zeros").stat().st_size == 5_000_000


def test_what_a_member_claims_to_hold_counts_too(tmp_path: Path) -> None:
    """A sparse file is larger than what the archive has of it."""
    header = tarfile.TarInfo("corpus/sparse")
    header.size = 1 << 50
    path = tmp_path / "claims.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(ArchiveError, match=r"claims\.tar: refused, it unpacks to more than 1 GiB"):
        extract(path, tmp_path / "target")


def test_a_corrected_archive_is_extracted_anew(tmp_path: Path) -> None:
    path = tarred(tmp_path / "one.tar.gz", [("corpus/a.txt", b"a"), ("corpus/z.txt", b"z")])
    extract(path, tmp_path / "data")
    tarred(path, [("corpus/a.txt", b"corrected"), ("corpus/z.txt", b"z")])
    extract(path, tmp_path / "data")
    assert (tmp_path / "data" / "corpus" / "a.txt").read_bytes() == b"corrected"


def test_a_local_archive_is_checked_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tarred(tmp_path / "dev-clean-2.tar.gz", [("LibriSpeech/README.TXT", b"")])
    flags = ["--data", str(path), "--out", str(tmp_path / "m.jsonl")]
    assert librispeech.main(flags) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert (
        "but that of the published dev-clean-2.tar.gz is 6d7ab67ac6a1d2c993d050e16d61080d" in said
    )
    assert not (tmp_path / "LibriSpeech").exists()
    assert librispeech.main([*flags, "--no-checksum"]) == 2
    assert (tmp_path / "LibriSpeech" / "README.TXT").exists()


def test_the_bound_is_a_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tarred(tmp_path / "own.tar.gz", [("LibriSpeech/README.TXT", bytes(10**6))])
    flags = ["--data", str(path), "--out", str(tmp_path / "m.jsonl"), "--max-unpacked"]
    assert librispeech.main([*flags, "0.0005"]) == 2
    assert "more than 0.0005 GiB; give --max-unpacked GIB" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        librispeech.main([*flags, "0"])


def test_two_archives_share_a_folder(tmp_path: Path) -> None:
    one = tarred(tmp_path / "one.tar.gz", [("LibriSpeech/one/a.txt", b"a"), ("LibriSpeech/R", b"")])
    two = tarred(tmp_path / "two.tar.gz", [("LibriSpeech/two/b.txt", b"b"), ("LibriSpeech/R", b"")])
    target = tmp_path / "data"
    extract(one, target)
    extract(two, target)
    assert (target / "LibriSpeech" / "one" / "a.txt").read_bytes() == b"a"
    assert (target / "LibriSpeech" / "two" / "b.txt").read_bytes() == b"b"


def test_extraction_is_done_once_unless_its_files_went_away(tmp_path: Path) -> None:
    path = tarred(tmp_path / "one.tar.gz", [("corpus/a.txt", b"a")])
    extracted = tmp_path / "data" / "corpus" / "a.txt"
    extract(path, tmp_path / "data")
    extracted.write_bytes(b"edited")
    extract(path, tmp_path / "data")
    assert extracted.read_bytes() == b"edited"
    extracted.unlink()
    extract(path, tmp_path / "data")
    assert extracted.read_bytes() == b"a"


def test_a_member_whose_name_is_not_utf_8_ends_no_extraction(tmp_path: Path) -> None:
    path = tarred(tmp_path / "corpus.tar.gz", [("corpus/jos\udce9.txt", b"a")])
    extract(path, tmp_path / "data")
    extracted = tmp_path / "data" / "corpus" / "jos\udce9.txt"
    assert extracted.read_bytes() == b"a"
    extracted.write_bytes(b"edited")
    extract(path, tmp_path / "data")
    assert extracted.read_bytes() == b"edited"
