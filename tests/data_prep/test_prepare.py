"""The command line the corpora share: what is written, and when it fails."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.data.validation import validate
from asr_unlearn.runtime.log import warn_once
from data_prep import an4, check, librispeech, speechcommands, synthetic
from data_prep.prepare import command_line, prepare


def run(folder: Path, texts: Sequence[str], *flags: str) -> tuple[int, Path]:
    """Prepare a corpus of one-second recordings with these transcripts."""
    found = []
    for number, text in enumerate(texts):
        audio = folder / f"u{number}.wav"
        soundfile.write(audio, np.zeros(SAMPLE_RATE), SAMPLE_RATE)
        found.append(Utterance(id=f"u{number}", audio=audio, speaker="s", seconds=0.0, text=text))
    out = folder / "out" / "manifest.jsonl"
    arguments = ["--data", str(folder), "--out", str(out), *flags]
    return prepare(command_line("none", "", ""), arguments, lambda _: found), out


def test_bad_utterances_are_counted_and_left_out(tmp_path: Path) -> None:
    status, out = run(tmp_path, ["A B", "", "C"], "--alphabet", "ABC")
    assert status == 0
    assert [(u.id, u.seconds) for u in read_manifest(out)] == [("u0", 1.0), ("u2", 1.0)]
    report = json.loads(out.with_name("manifest.problems.json").read_text())
    assert (report["checked"], report["kept"]) == (3, 2)
    assert [(p["id"], p["reason"]) for p in report["problems"]] == [("u1", "empty transcript")]


def test_strict_lists_every_problem_and_writes_no_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = run(tmp_path, ["A", *[""] * 30], "--strict")
    assert status == 1
    assert not out.exists()
    assert out.with_name("manifest.problems.json").exists()
    named = capsys.readouterr().err
    assert all(f"u{number}: empty transcript" in named for number in range(1, 31))


def test_nothing_usable_is_a_failure(tmp_path: Path) -> None:
    status, out = run(tmp_path, ["", ""])
    assert status == 1
    assert not out.exists()


def test_the_alphabet_may_be_a_string_a_text_or_a_vocabulary(tmp_path: Path) -> None:
    text = tmp_path / "letters.txt"
    text.write_text("A\nB\n", encoding="utf-8-sig")
    vocabulary = tmp_path / "vocab.json"
    vocabulary.write_text(json.dumps({"<pad>": 0, "|": 1, "A": 2, "B": 3}))
    for alphabet in ("AB", str(text), str(vocabulary)):
        status, out = run(tmp_path, ["A B", "C", "<", "A|B"], "--alphabet", alphabet)
        assert status == 0
        assert [u.id for u in read_manifest(out)] == ["u0"]
    assert run(tmp_path, ["A\ufeff"], "--alphabet", str(text))[0] == 1


def test_transcripts_are_put_in_the_case_of_the_alphabet_which_is_said_once(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    warn_once.cache_clear()
    vocabulary = tmp_path / "vocab.json"
    vocabulary.write_text(json.dumps({"<pad>": 0, "|": 1, "a": 2, "b": 3, "'": 4}))
    status, out = run(tmp_path, ["A B", "b'A", "C A", "ab"], "--alphabet", str(vocabulary))
    assert status == 0
    assert [(u.id, u.text) for u in read_manifest(out)] == [
        ("u0", "a b"), ("u1", "b'a"), ("u3", "ab"),
    ]  # fmt: skip
    assert caplog.messages == ["transcripts are put in lower case, as the alphabet is"]
    assert "u2: unknown characters: 'A' 'C' in 'C A'" in capsys.readouterr().err
    # An alphabet with both cases takes transcripts as they are.
    _, out = run(tmp_path, ["aB", "ab"], "--alphabet", "aB")
    assert [u.text for u in read_manifest(out)] == ["aB"]


def test_an_alphabet_may_be_longer_than_the_name_of_any_file(tmp_path: Path) -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 100)))
    assert run(tmp_path, [letters[:3]], "--alphabet", letters)[0] == 0


def test_an_interruption_is_no_error_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: object) -> list[Utterance]:
        raise KeyboardInterrupt

    arguments = ["--data", "data", "--out", "manifest.jsonl"]
    assert prepare(command_line("none", "", ""), arguments, interrupt) == 130
    assert "data_prep.none: interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        (None, ["u0"]),  # wav2vec2: 49 frames a second
        ({"conv_kernel": [400], "conv_stride": [160]}, ["u0", "u1"]),
        ({"conv_kernel": [1600], "conv_stride": [1600]}, []),
        ({"model_type": "whisper"}, ["u0", "u1"]),
    ],
)
def test_transcripts_must_fit_the_models_frames(
    tmp_path: Path, config: dict[str, object] | None, kept: list[str]
) -> None:
    flags = []
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
        flags = ["--config", str(tmp_path / "config.json")]
    status, out = run(tmp_path, ["AB" * 20, "AB" * 25], *flags)
    assert status == (0 if kept else 1)
    assert ([u.id for u in read_manifest(out)] if out.exists() else []) == kept


def test_recordings_must_fit_the_window_of_a_whisper(tmp_path: Path) -> None:
    config = tmp_path / "model" / "config.json"
    config.parent.mkdir()
    flags = ["--config", str(config)]
    for positions, kept in ((50, ["u0"]), (49, [])):
        config.write_text(json.dumps({"model_type": "whisper", "max_source_positions": positions}))
        status, out = run(tmp_path, ["A B"], *flags)
        assert ([u.id for u in read_manifest(out)] if status == 0 else []) == kept
    assert run(tmp_path, ["A B"], *flags, "--max-seconds", "1")[0] == 0
    for name, settings in (
        ("preprocessor_config.json", {"hop_length": 320}),
        ("processor_config.json", {"feature_extractor": {"hop_length": 320}}),
    ):
        (config.parent / name).write_text(json.dumps(settings))
        assert run(tmp_path, ["A B"], *flags)[0] == 0
        (config.parent / name).unlink()
    assert run(tmp_path, ["A B"], *flags, "--max-seconds", "0.9")[0] == 1


def test_a_manifest_from_elsewhere_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for name, samples in (("long", 16_000), ("longer", 24_000), ("other", 16_000)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(samples), SAMPLE_RATE)
        row = {"id": name, "audio": f"{name}.wav", "speaker": "s", "seconds": 0, "text": "A B"}
        rows.append(row | {"label": "yes", "subset": "dev"})
    rows[2]["text"] = "É"
    manifest, checked = tmp_path / "mine.jsonl", tmp_path / "out" / "checked.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--alphabet", "AB", "--max-seconds", "1.2"]
    assert check.main([str(manifest), "--out", str(checked), *flags]) == 0
    (kept,) = read_manifest(checked)
    assert (kept.id, kept.seconds, kept.label, kept.subset) == ("long", 1.0, "yes", "dev")
    assert kept.audio.samefile(tmp_path / "long.wav")
    assert kept.sha256
    report = json.loads(checked.with_suffix(".problems.json").read_text())
    reasons = {problem["id"]: problem["reason"] for problem in report["problems"]}
    assert reasons == {"other": "unknown characters", "longer": "too long"}
    assert check.main([str(manifest), "--out", str(manifest)]) == 2
    assert "write to another place" in capsys.readouterr().err
    assert len(read_manifest(manifest)) == 3


def test_a_copy_is_named_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(tmp_path, ["A", "B"])
    assert status == 0
    assert [u.id for u in read_manifest(out)] == ["u0", "u1"]
    printed = capsys.readouterr().err
    assert "u1: copy: same recording as u0\n" in printed
    assert "copies that are kept: 1; asr-unlearn split refuses" in printed
    report = json.loads(out.with_name("manifest.problems.json").read_text())
    assert report["copies"] == [{"id": "u1", "reason": "copy", "detail": "same recording as u0"}]
    assert report["problems"] == []


def never(_: object) -> list[Utterance]:
    raise AssertionError("the corpus was scanned before the arguments were checked")


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "-inf"])
def test_a_limit_that_is_none_is_refused_before_work(
    tmp_path: Path, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "m.jsonl")]
    arguments += [f"--max-seconds={limit}"]
    with pytest.raises(SystemExit, match="2"):
        prepare(command_line("none", "", ""), arguments, never)
    assert f"argument --max-seconds: '{limit}': give a number above 0" in capsys.readouterr().err
    with pytest.raises(ValueError, match="recordings cannot last from"):
        validate([], max_seconds=float(limit) - 0.01)


def test_what_cannot_be_written_or_read_is_an_error_before_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, letters = tmp_path / "config.json", tmp_path / "letters.txt"
    config.write_text("{}")
    letters.write_text("AB")
    (tmp_path / "full.problems.json").mkdir()
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    out = str(tmp_path / "m.jsonl")
    for flags, complaint in (
        (["--out", str(tmp_path)], "is a folder; give a file"),
        (["--out", str(letters / "m.jsonl")], "letters.txt is a file"),
        (["--out", str(config), "--config", str(config)], "write to another place"),
        (["--out", str(letters), "--alphabet", str(letters)], "write to another place"),
        (["--out", str(tmp_path / "full.jsonl")], "full.problems.json is a folder"),
        (["--out", out, "--config", str(broken)], "broken.json: not JSON"),
        (["--out", out, "--config", str(tmp_path / "gone.json")], "gone.json"),
        (["--out", out, "--config", str(letters)], "letters.txt: not JSON"),
    ):
        arguments = ["--data", str(tmp_path), *flags]
        assert prepare(command_line("none", "", ""), arguments, never) == 2
        printed = capsys.readouterr().err
        assert complaint in printed
        assert printed.count("\n") == 1
    assert config.read_text() == "{}"
    assert letters.read_text() == "AB"


@pytest.mark.parametrize(
    ("corpus", "flags"),
    [
        (speechcommands, ["--words", "go", "--unknown", "nan"]),
        (speechcommands, ["--silence", "-0.1"]),
        (speechcommands, ["--silence", "inf"]),
        (speechcommands, ["--seed", "-1"]),
        (synthetic, ["--speakers", "0"]),
        (synthetic, ["--sentences", "-2"]),
        (synthetic, ["--seed", "-1"]),
    ],
)
def test_numbers_that_are_none_are_refused_by_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], corpus: Any, flags: list[str]
) -> None:
    out = tmp_path / "m.jsonl"
    assert corpus.main(["--data", str(tmp_path / "none"), "--out", str(out), *flags]) == 2
    assert f"{flags[-2]} must be" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("corpus", [an4, librispeech, synthetic])
def test_help_shows_an_example_that_parses(
    corpus: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        corpus.main(["--help"])  # type: ignore[attr-defined]
    name = corpus.__name__  # type: ignore[attr-defined]
    assert f"example:\n  python -m {name} --data" in capsys.readouterr().out


def test_debug_prints_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "out.jsonl")]
    assert check.main(argv) == 2
    said = capsys.readouterr().err
    assert said == (
        f"python -m data_prep.check: {tmp_path}/none.jsonl: No such file or directory; "
        "check the path\n"
    )
    assert check.main(["--debug", *argv]) == 2
    assert capsys.readouterr().err.startswith("Traceback (most recent call last):")
