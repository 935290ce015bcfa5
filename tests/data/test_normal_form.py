"""Transcripts and names that look alike are equal, wherever they are read from."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import Utterance, read_manifest, write_manifest
from asr_unlearn.data.validation import validate
from asr_unlearn.runtime.text import is_utf8, normal_name, normal_text, printable
from data_prep import check

PLAIN = "THE DOG SEES"
SPACED = [
    f"  {PLAIN} ",
    "THE  DOG   SEES",
    "\tTHE\tDOG SEES\n",
    "THE\u00a0DOG\u2003SEES\r\n",
    "THE\u2028DOG\u0085SEES\u3000",
]
ALIKE = ["Zoë", "Zoe\u0308", " Zoë", "Zoë\u200b", "\ufeffZoë", "Zo\u00adë\r", "\u00a0Zoë"]


@pytest.mark.parametrize("text", SPACED)
def test_white_space_of_every_kind_is_one_space(text: str) -> None:
    assert normal_text(text) == PLAIN


@pytest.mark.parametrize("name", ALIKE)
def test_names_that_look_alike_are_equal(name: str) -> None:
    assert normal_name(name) == "Zoë"


def test_names_that_look_different_stay_so() -> None:
    for name in ("112", "spk-1_a", "anna#2", "Zoe", "_noise_/tap/dev", "ΟΔΟΣ", "王"):
        assert normal_name(name) == name


@given(st.text())
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    assert normal_text(normal_text(text)) == normal_text(text)
    assert normal_name(normal_name(text)) == normal_name(text)


def row(audio: str = "a.wav", **changes: object) -> str:
    known = {"id": "u", "audio": audio, "speaker": "s", "seconds": 1.0, "text": PLAIN}
    return json.dumps(known | changes) + "\n"


def test_a_manifest_is_read_in_normal_form(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(row(id=f"u{i}", text=text) for i, text in enumerate(SPACED)))
    assert {u.text for u in read_manifest(path)} == {PLAIN}
    path.write_text("".join(row(id=f"u{i}", speaker=s, label=s) for i, s in enumerate(ALIKE)))
    assert {(u.speaker, u.label) for u in read_manifest(path)} == {("Zoë", "Zoë")}


def test_ids_that_become_equal_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(row(id="a") + row(id="b") + row(id="a\u200b "))
    with pytest.raises(ValueError, match=r"manifest\.jsonl, lines 1 and 3: .* the id 'a'"):
        read_manifest(path)


@pytest.mark.parametrize("key", ["id", "speaker"])
@pytest.mark.parametrize("value", ["", "  ", "\u200b", "\ufeff\t"])
def test_an_empty_name_is_named_by_line(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(row() + row(**{"id": "v", key: value}))
    with pytest.raises(ValueError, match=rf"manifest\.jsonl, line 2: {key} is empty"):
        read_manifest(path)


def test_half_a_character_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(row() + row(id="v", speaker="Jos\udce9"))
    with pytest.raises(ValueError, match=r"line 2: speaker is no text: 'Jos\\udce9'"):
        read_manifest(path)


def test_check_writes_the_normal_form(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    given_, out = tmp_path / "manifest.jsonl", tmp_path / "out" / "checked.jsonl"
    given_.write_text("".join(row(id=f" u{i}", text=text) for i, text in enumerate(SPACED)))
    assert check.main([str(given_), "--out", str(out), "--alphabet", "CDEGHOST"]) == 0
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["id"], line["text"]) for line in written] == [
        (f"u{i}", PLAIN) for i in range(len(SPACED))
    ]


def test_a_name_that_is_not_utf_8_is_left_out_by_name(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    soundfile.write(good, np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    bad = tmp_path / os.fsdecode(b"jos\xe9.wav")
    bad.write_bytes(good.read_bytes())
    kept = Utterance(id="good", audio=good, speaker="s", seconds=0.0)
    result = validate(
        [
            kept,
            replace(kept, id="path", audio=bad),
            replace(kept, id="jos\udce9"),
            replace(kept, id="speaker", speaker="jos\udce9"),
            replace(kept, id="nameless", speaker=" \u200b"),
        ],
        progress=False,
    )
    assert [u.id for u in result.kept] == ["good"]
    assert [(p.id, p.reason) for p in result.problems] == [
        ("path", "name is not UTF-8"),
        (r"jos\udce9", "name is not UTF-8"),
        ("speaker", "name is not UTF-8"),
        ("nameless", "no speaker"),
    ]
    assert all(is_utf8(p.id + p.detail) for p in result.problems)
    assert r"jos\udce9.wav" in result.problems[0].detail


def test_a_path_that_is_not_utf_8_survives_the_manifest(tmp_path: Path) -> None:
    one = Utterance(id="a", audio=tmp_path / "jos\udce9.wav", speaker="s", seconds=1.0)
    write_manifest(tmp_path / "manifest.jsonl", [one])
    assert read_manifest(tmp_path / "manifest.jsonl") == [one]
    assert printable("jos\udce9 Zoë") == r"jos\udce9 Zoë"
