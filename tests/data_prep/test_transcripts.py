"""Texts from files, whichever program wrote them."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from asr_unlearn.data.manifest import Utterance
from data_prep.transcripts import read_known, read_transcripts, transcribed

ROWS = [{"id": "a", "text": "ONE\u2028TWO"}, {"id": "b\u0085", "text": "THREE"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "a,one two\r\nb\u0085,three\r\n"),
        ("t.csv", "path,text\r\na,one two\r\nb\u0085,three\r\n"),
        ("t.tsv", 'a\t"one\ntwo"\nb\u0085\tthree\n'),
        ("t.jsonl", LINES),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_no_text_is_lost(name: str, content: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode(encoding))
    assert read_transcripts(tmp_path / name) == {"a": "ONE TWO", "b\u0085": "THREE"}


def test_what_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,É".encode("latin-1"))
    with pytest.raises(ValueError, match=r"t\.csv is not UTF-8"):
        read_transcripts(tmp_path / "t.csv")


def test_the_transcripts_of_a_recogniser_are_read_again_but_for_a_line_cut_short(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.jsonl").write_text(LINES + LINES[:9], encoding="utf-8")
    assert read_known(tmp_path / "m.jsonl") == {row["id"]: row["text"] for row in ROWS}


def recognise_all_as_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recogniser:
        type = "ctc"

        def __call__(self, _: object) -> dict[str, str]:
            return {"text": "yes"}

    stub = SimpleNamespace(pipeline=lambda *_, **__: Recogniser())
    monkeypatch.setitem(sys.modules, "transformers", stub)


def test_a_name_that_is_not_utf_8_ends_no_transcription(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognise_all_as_yes(monkeypatch)
    audio = tmp_path / "a.wav"
    soundfile.write(audio, np.zeros(1000), 16_000)
    given = [
        Utterance(id=name, audio=audio, speaker="s", seconds=0.0) for name in ("jos\udce9", "b")
    ]
    for _ in range(2):
        found = transcribed(iter(given), "model", tmp_path / "texts")
        assert [(u.id, u.text) for u in found] == [("jos\udce9", "YES"), ("b", "YES")]


def test_a_recording_that_was_mended_is_transcribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognise_all_as_yes(monkeypatch)
    audio = tmp_path / "a.wav"
    given = [Utterance(id="a", audio=audio, speaker="s", seconds=0.0)]
    audio.write_bytes(b"no recording")
    assert [u.text for u in transcribed(iter(given), "model", tmp_path / "texts")] == [""]
    soundfile.write(audio, np.zeros(1000), 16_000)
    assert [u.text for u in transcribed(iter(given), "model", tmp_path / "texts")] == ["YES"]
