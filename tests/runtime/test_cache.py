"""What is cached is current for as long as it was made from the same."""

import os

import pytest

from asr_unlearn.runtime import file_state
from asr_unlearn.runtime.cache import cached, changed_since


def test_a_file_is_current_until_it_is_made_from_something_else(tmp_path):
    entry = cached(tmp_path / "deep" / "x.json", {"a": 1})
    assert not entry.is_current
    with entry.write() as partial:
        partial.write_text("one")
        assert not entry.is_current
    assert entry.is_current
    assert entry.path.read_text() == "one"
    assert cached(entry.path, {"a": 1}).is_current
    assert not cached(entry.path, {"a": 2}).is_current
    entry.path.unlink()
    assert not entry.is_current


def test_a_key_never_stands_beside_other_content(tmp_path):
    """Interrupted while it is made from B, the file counts neither for A nor for B."""
    a, b = (cached(tmp_path / "file", made_from) for made_from in "AB")
    with a.write() as partial:
        partial.write_text("a")

    def interrupted():
        with b.write() as partial:
            partial.write_text("b")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not a.is_current
    assert not b.is_current


def test_a_folder_is_cleared_before_it_is_made_again(tmp_path):
    entry = cached(tmp_path / "model.v2", "A")
    entry.clear()
    entry.path.mkdir()
    (entry.path / "left").touch()
    entry.save()
    assert entry.is_current
    entry.clear()
    assert not entry.is_current
    assert list(tmp_path.iterdir()) == []


def made_folder(path):
    entry = cached(path, "A")
    path.mkdir()
    for name in ("one", "two"):
        (path / name).write_text(f"content of {name}")
    (path.parent / "beside").write_text("made with it")
    entry.save(also=[path.parent / "beside"])
    return entry


@pytest.mark.parametrize("name", ["folder/one", "folder/two", "beside"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_what_was_damaged_is_not_current(name, damage, tmp_path):
    entry = made_folder(tmp_path / "folder")
    file = tmp_path / name
    status, content = file.stat(), file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        flipped = bytes([content[0] ^ 1]) + content[1:]
        file.write_bytes({"flip": flipped, "cut": content[:-1], "empty": b""}[damage])
        # As a fault of the disk leaves it.
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not entry.is_current
    assert changed_since(entry.path) == [file]


def test_what_is_added_copied_or_moved_stays_current(tmp_path):
    entry = made_folder(tmp_path / "folder")
    (entry.path / "predictions").write_text("added later")
    for file in (entry.path / "one", entry.path / "two"):
        os.utime(file, ns=(0, 0))
    assert entry.is_current
    (tmp_path / "elsewhere").mkdir()
    for name in ("folder", "beside", ".folder.key"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    assert cached(tmp_path / "elsewhere" / "folder", "A").is_current


def test_a_large_file_is_read_only_if_its_time_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(file_state, "SMALL", 0)
    entry = made_folder(tmp_path / "folder")
    monkeypatch.setattr(file_state, "digest", lambda path: pytest.fail(f"read {path}"))
    assert entry.is_current
    monkeypatch.undo()
    (entry.path / "one").write_text("content of 0ne")
    assert not entry.is_current


@pytest.mark.parametrize("note", ["", "no JSON", "[]", "{}", '{"key": 1, "files": {"one": 3}}'])
def test_a_damaged_note_is_no_proof(note, tmp_path):
    entry = made_folder(tmp_path / "folder")
    (tmp_path / ".folder.key").write_text(note)
    assert not entry.is_current
