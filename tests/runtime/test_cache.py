"""What is cached is current for as long as it was made from the same."""

import pytest

from asr_unlearn.runtime.cache import cached


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
