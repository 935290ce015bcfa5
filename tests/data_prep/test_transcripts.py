"""Texts from files, whichever program wrote them."""

import json
from pathlib import Path

import pytest

from data_prep.transcripts import read_known, read_transcripts

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


def test_what_a_recogniser_heard_is_read_again_but_for_a_line_cut_short(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(LINES + LINES[:9], encoding="utf-8")
    assert read_known(tmp_path / "m.jsonl") == {row["id"]: row["text"] for row in ROWS}
