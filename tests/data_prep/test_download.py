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
