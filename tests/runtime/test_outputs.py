"""An output that cannot be written is an error before anything is done."""

import os
from pathlib import Path

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.runtime.outputs import check_file


def test_what_can_be_written_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("")
    for out in (tmp_path / "new.json", tmp_path / "old.json", tmp_path / "a" / "b" / "c.json"):
        check_file(out, tmp_path / "input.json")
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "input.json"
    file.write_text("")
    (tmp_path / "link.json").symlink_to(file)
    for out, complaint in (
        (tmp_path, "is a folder; give a file"),
        (file / "deep" / "out.json", r"input\.json is a file"),
        (file, "is read by this command; write to another file"),
        (tmp_path / "x" / ".." / "input.json", "write to another file"),
        (tmp_path / "link.json", "write to another file"),
    ):
        with pytest.raises(ValueError, match=f"--out .*{complaint}"):
            check_file(out, file)
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(ValueError, match=f"{tmp_path} may not be written to; give another place"):
        check_file(tmp_path / "new" / "out.json")


def test_split_asks_before_it_reads(corpus: Path, tmp_path: Path) -> None:
    forget = tmp_path / "forget.txt"
    forget.write_text("s0\n")
    manifest = corpus / "manifest.jsonl"
    before = manifest.read_bytes()
    for out, read in ((tmp_path, "none.jsonl"), (manifest, manifest), (forget, manifest)):
        with pytest.raises(ValueError, match="--out "):
            main(["split", "--manifest", str(read), "--forget", str(forget), "--out", str(out)])
    assert manifest.read_bytes() == before
    assert forget.read_text() == "s0\n"
