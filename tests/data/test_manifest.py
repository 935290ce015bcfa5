"""The manifest survives a round trip, and validation sorts every utterance once."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import Utterance, content, read_manifest, write_manifest
from asr_unlearn.data.validation import Validation, conv_frames, validate
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.text import normal_name, normal_text

names = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1)
optional = st.none() | st.text()
visible = st.text(min_size=1).filter(normal_name)
utterances = st.builds(
    Utterance,
    id=visible,
    audio=st.lists(names.filter(lambda n: n not in (".", "..")), min_size=1).map(
        lambda parts: Path("/", *parts)
    ),
    speaker=visible,
    seconds=st.floats(0, 1e6),
    text=optional,
    label=optional,
    language=optional,
    subset=st.sampled_from([None, "train", "dev", "test"]),
)


@given(rows=st.lists(utterances, unique_by=lambda u: u.id))
def test_what_is_written_is_read(
    rows: list[Utterance], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "manifest.jsonl"
    write_manifest(path, rows)
    assert read_manifest(path) == rows


def example(audio: Path, name: str = "u1", text: str | None = "A B") -> Utterance:
    return Utterance(id=name, audio=audio, speaker="s1", seconds=0.0, text=text, subset="train")


def test_audio_below_the_manifest_moves_with_it(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    inside, outside = here / "wav" / "a.wav", tmp_path / "corpus" / "b.wav"
    write_manifest(here / "manifest.jsonl", [example(inside, "a"), example(outside, "b")])
    stored = [
        json.loads(line)["audio"] for line in (here / "manifest.jsonl").read_text().splitlines()
    ]
    assert stored == ["wav/a.wav", str(outside)]
    here.rename(there)
    assert [u.audio for u in read_manifest(there / "manifest.jsonl")] == [
        there / "wav" / "a.wav",
        outside,
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "Expecting"),
        ("[]", "expected a JSON object"),
        ('{"id": "a", "audio": "a.wav", "speaker": "s"}', r"missing keys \['seconds'\]"),
        ('{"id": 1, "audio": "a.wav", "speaker": "s", "seconds": 1}', "id must be a string"),
        ('{"id": "a", "audio": "a", "speaker": "s", "seconds": true}', "seconds must be a number"),
        ('{"id": "a", "audio": "a", "speaker": "s", "seconds": NaN}', "0 or more.* found nan"),
        ('{"id": "a", "audio": "a", "speaker": "s", "seconds": Infinity}', "0 or more.* found inf"),
        ('{"id": "a", "audio": "a", "speaker": "s", "seconds": -1}', "0 or more.* found -1"),
        ('{"id": "a", "audio": "a", "speaker": "s", "seconds": 1, "txt": ""}', "txt"),
        ('{"id": "a", "audio": "a", "speaker": null, "seconds": 1}', "speaker must be a string"),
        (
            '{"id": "a", "audio": "a", "speaker": "s", "seconds": 1, "subset": "validation"}',
            "subset must be 'train', 'dev', 'test', null or left out, found 'validation'",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, [example(Path("/a.wav"))])
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(ValueError, match=rf"manifest\.jsonl, line 3: .*{complaint}"):
        read_manifest(path)


def test_an_id_that_stands_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, [example(Path("/a.wav"), name) for name in ("a", "b", "a")])
    with pytest.raises(ValueError, match=r"manifest\.jsonl, lines 1 and 3: .* the id 'a'"):
        read_manifest(path)


def test_what_other_editors_write_is_read_or_named(tmp_path: Path) -> None:
    path, rows = tmp_path / "manifest.jsonl", [example(Path("/a.wav"), text="É")]
    write_manifest(path, rows)
    text = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8-sig")
    assert read_manifest(path) == rows
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"manifest\.jsonl is not UTF-8"):
        read_manifest(path)
    with pytest.raises(ValueError, match="is a folder; give the file"):
        read_manifest(tmp_path)


def test_a_failed_write_leaves_the_old_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, [example(Path("/a.wav"))])
    before = path.read_bytes()

    def breaks() -> Iterator[Utterance]:
        yield example(Path("/b.wav"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_manifest(path, breaks())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@given(
    samples=st.integers(0, 4000),
    layers=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=4),
)
def test_conv_frames_is_the_length_torch_gives(samples: int, layers: list[tuple[int, int]]) -> None:
    kernels, strides = zip(*layers, strict=True)
    length = samples
    for kernel, stride in layers:
        if length < kernel:
            length = 0
            break
        length = torch.conv1d(
            torch.zeros(1, 1, length), torch.zeros(1, 1, kernel), stride=stride
        ).shape[-1]
    assert conv_frames(samples, kernels, strides) == length


def write_wav(path: Path, seconds: float) -> Path:
    soundfile.write(path, np.full(round(seconds * SAMPLE_RATE), 0.1), SAMPLE_RATE)
    return path


def one_frame_a_tenth(samples: int) -> int:
    return samples * 10 // SAMPLE_RATE


def test_every_problem_has_its_reason(tmp_path: Path) -> None:
    good = example(write_wav(tmp_path / "good.wav", 1.0), "good", "AB C")
    silent = tmp_path / "text.wav"
    silent.write_text("not audio")
    bad = {
        "empty transcript": example(good.audio, "empty", "  "),
        "unknown characters": example(good.audio, "unknown", "A É 7"),
        "missing audio": example(tmp_path / "gone.wav", "missing"),
        "undecodable audio": example(silent, "undecodable"),
        "too short": example(write_wav(tmp_path / "short.wav", 0.05), "short"),
        "too long": example(write_wav(tmp_path / "long.wav", 3.0), "long"),
        "transcript too long": example(good.audio, "crowded", "ABCABCABCAB"),
        "duplicate id": replace(good, audio=tmp_path / "gone.wav"),
    }
    result = validate(
        [good, *bad.values()],
        alphabet="ABC",
        frames=one_frame_a_tenth,
        max_seconds=2.0,
        progress=False,
    )
    content = good.audio.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert result.kept == [replace(good, seconds=1.0, sha256=digest)]
    assert {p.reason: p.id for p in result.problems} == {r: u.id for r, u in bad.items()}
    details = {p.reason: p.detail for p in result.problems}
    assert "'7' 'É'" in details["unknown characters"]
    assert "gone.wav" in details["missing audio"]
    assert "text.wav" in details["undecodable audio"]
    assert "good.wav" in details["duplicate id"]
    assert "10 frames" in details["transcript too long"]
    assert "needs 11" in details["transcript too long"]


def test_a_recording_that_cannot_be_had_costs_no_other(tmp_path: Path) -> None:
    good = example(write_wav(tmp_path / "good.wav", 1.0), "good")
    long = example(tmp_path / f"{'n' * 300}.wav", "long")
    folder = example(tmp_path, "folder")
    empty = example(tmp_path / "empty.wav", "empty")
    soundfile.write(empty.audio, np.zeros(0), SAMPLE_RATE)
    result = validate([long, folder, empty, good], progress=False)
    assert [u.id for u in result.kept] == ["good"]
    assert [(p.id, p.reason) for p in result.problems] == [
        ("long", "missing audio"),
        ("folder", "missing audio"),
        ("empty", "undecodable audio"),
    ]
    assert result.problems[2].detail == f"{empty.audio}: holds no samples"


@given(
    text=st.text("AB ", min_size=1, max_size=12).map(normal_text).filter(bool),
    frames=st.integers(1, 14),
)
def test_kept_exactly_when_the_ctc_loss_is_finite(
    text: str, frames: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    audio = write_wav(tmp_path_factory.mktemp("audio") / "a.wav", 0.2)
    result = validate([example(audio, "a", text)], frames=lambda _: frames, progress=False)
    loss = torch.nn.functional.ctc_loss(
        torch.zeros(frames, 1, 4).log_softmax(-1),
        torch.tensor([["AB ".index(character) + 1 for character in text]]),
        torch.tensor([frames]),
        torch.tensor([len(text)]),
    )
    assert bool(result.kept) == bool(torch.isfinite(loss))


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.sampled_from(["good.wav", "gone.wav"]),
            st.sampled_from(["A", "", None]),
        ),
        max_size=12,
    )
)
def test_each_utterance_is_kept_or_named_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("audio")
    write_wav(folder / "good.wav", 0.2)
    given_ = [example(folder / audio, name, text) for name, audio, text in rows]
    result = validate(given_, progress=False)
    ids = sorted([u.id for u in result.kept] + [p.id for p in result.problems])
    assert ids == sorted(u.id for u in given_)
    assert len({u.id for u in result.kept}) == len(result.kept)
    duplicates = sum(p.reason == "duplicate id" for p in result.problems)
    assert duplicates == sum(len(list(g)) - 1 for _, g in groupby(sorted(r[0] for r in rows)))


def test_the_number_of_workers_changes_nothing(shared_data: Path) -> None:
    files = sorted((shared_data / "LibriSpeech" / "train-clean-5").rglob("*.opus"))[:40]
    found = [example(file, file.stem) for file in files]

    def checked(workers: int) -> Validation:
        return validate(found, workers=workers, progress=False)

    assert checked(1) == checked(2)
    assert [u.id for u in checked(2).kept] == [u.id for u in found]
    assert all(u.seconds == soundfile.info(str(u.audio)).duration for u in checked(2).kept)


def test_a_language_is_optional_and_changes_no_digest_where_there_is_none(tmp_path: Path) -> None:
    plain = Utterance(id="a", audio=tmp_path / "a.wav", speaker="s", seconds=1.0, text="ja")
    german = replace(plain, language=" german ")
    assert german.language == "german"
    write_manifest(tmp_path / "manifest.jsonl", [german])
    assert read_manifest(tmp_path / "manifest.jsonl") == [german]
    assert content([plain]) == [["a", "s", 1.0, "ja", None, None]]
    assert content([german]) == [["a", "s", 1.0, "ja", None, None, "german"]]
    line = {"id": "a", "audio": "a.wav", "speaker": "s", "seconds": 1.0, "language": 7}
    (tmp_path / "bad.jsonl").write_text(json.dumps(line))
    with pytest.raises(InputError, match="line 1: language must be a string, found 7"):
        read_manifest(tmp_path / "bad.jsonl")
