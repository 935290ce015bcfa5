"""What a command is published as: without absolute paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.runtime.provenance import without_folders


@pytest.mark.parametrize(
    ("word", "published"),
    [
        ("/home/anna/data", "data"),
        ("{here}/out/split.json", "out/split.json"),
        ("--out={here}/out", "--out=out"),
        ("/data/an4/original,{here}/retrained,third", "original,retrained,third"),
        ("relearning,planted_noise=/data/noise.json", "relearning,planted_noise=noise.json"),
        ("split.forget=/home/anna/forget.txt", "split.forget=forget.txt"),
        ("--set=split.forget={here}/forget.txt", "--set=split.forget=forget.txt"),
        ("/data/epochs=3/original", "original"),
        ("AN4, planted noise", "AN4, planted noise"),
    ],
)
def test_no_absolute_path_is_published(word, published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert without_folders(word.format(here=tmp_path)) == published


@given(st.text(st.characters(exclude_characters="/")))
def test_what_has_no_path_stays(word):
    assert without_folders(word) == word
