"""From audio to report with Whisper and with a classifier, as with a CTC recogniser."""

import json
import shutil

import jiwer
import pytest
from tiny_model import tiny_options, tiny_whisper_options
from transformers import Wav2Vec2Config, WhisperConfig, pipeline

from asr_unlearn.audio import load_audio
from asr_unlearn.cli import main
from asr_unlearn.manifest import read_manifest
from asr_unlearn.split import PARTS


@pytest.fixture
def copied(corpus, tmp_path):
    """The corpus in a folder of its own, where features may be cached."""
    ignored = shutil.ignore_patterns("features")
    shutil.copytree(corpus, tmp_path / "corpus", ignore=ignored)
    return tmp_path / "corpus"


def run(folder, config, out, training, options):
    """Original, retrained and two methods, evaluated and reported; the results."""
    data = ["--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / "split.json")]
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *data, "--model", str(config), "--parts", parts, *training]
        main([*argv, "--out", str(out / name), "--set", options])
    for method, rule in (("orthograd_tau", "unseen"), ("gradient_ascent", "steps")):
        argv = ["unlearn", *data, "--model", str(out / "original"), "--method", method]
        argv += ["--stop.rule", rule, "--stop.every", "1"]
        main([*argv, "--out", str(out / method), "--set", "epochs=2,lr=1e-3"])
    models = "original,retrained,orthograd_tau,gradient_ascent"
    main(["evaluate", *data, "--models", models, "--out", str(out / "results.json")])
    main(["report", "--results", str(out / "results.json")])
    return json.loads((out / "results.json").read_text())["models"]


def rows(folder):
    return [json.loads(line) for line in (folder / "utterances.jsonl").read_text().splitlines()]


def measured(folder):
    """The rows of metrics.jsonl where the stop rule looked."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if "check_forget_cer" in row]


def has_learned(folder):
    """Whether the loss of the last quarter of the steps is below that of the first."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["retain_loss"] for line in lines]
    quarter = len(losses) // 4
    return sum(losses[-quarter:]) < 0.8 * sum(losses[:quarter])


def test_whisper(copied, tmp_path):
    WhisperConfig(**tiny_whisper_options()).save_pretrained(tmp_path / "config")
    entries = run(copied, tmp_path / "config", tmp_path, [], "epochs=8,lr=3e-3")
    assert has_learned(tmp_path / "original")
    for entry in entries:
        said = rows(tmp_path / entry["path"])
        assert {row["part"] for row in said} == set(PARTS)
        for part in PARTS:
            chosen = [row for row in said if row["part"] == part]
            texts = [r["reference"] for r in chosen], [r["hypothesis"] for r in chosen]
            assert entry["wer"][part] == pytest.approx(jiwer.wer(*texts))
            assert entry["loss"][part] > 0
    assert entries[2]["cost"]["relative_to_retraining"] > 0
    assert entries[0]["loss"]["forget"] != entries[3]["loss"]["forget"]
    # Measured on the original, by generation: what the report says of it.
    first = measured(tmp_path / "orthograd_tau")[0]
    assert first["check_forget_loss"] == pytest.approx(entries[0]["loss"]["forget"], abs=1e-4)
    assert first["check_forget_cer"] == pytest.approx(entries[0]["cer"]["forget"], abs=1e-6)
    assert first["target_loss"] == pytest.approx(entries[0]["loss"]["unseen"], abs=1e-4)
    # Spectrograms are made once, for all runs.
    assert len(list((copied / "features").rglob("*.npz"))) == 32 - len(
        [row for row in said if row["part"] in ("test", "forget_heldout")]
    )
    recogniser = pipeline("automatic-speech-recognition", model=str(tmp_path / "orthograd_tau"))
    transcripts = {row["id"]: row["hypothesis"] for row in rows(tmp_path / "orthograd_tau")}
    for utterance in read_manifest(copied / "manifest.jsonl")[:3]:
        heard = recogniser(load_audio(utterance.audio), generate_kwargs={"num_beams": 1})
        assert heard["text"].strip() == transcripts[utterance.id]


def test_a_classifier_of_speakers(copied, tmp_path):
    sizes = tiny_options() | {"feat_extract_norm": "layer", "classifier_proj_size": 8}
    Wav2Vec2Config(**sizes).save_pretrained(tmp_path / "config")
    training = ["--task", "classification"]
    entries = run(copied, tmp_path / "config", tmp_path, training, "epochs=40,lr=5e-3")
    assert has_learned(tmp_path / "original")
    for entry in entries:
        said = rows(tmp_path / entry["path"])
        assert all(row["reference"] == row["speaker"] for row in said)
        for part in PARTS:
            chosen = [row for row in said if row["part"] == part]
            right = sum(row["hypothesis"] == row["speaker"] for row in chosen)
            assert entry["wer"][part] == pytest.approx(1 - right / len(chosen))
            assert entry["cer"][part] == entry["wer"][part]
    assert entries[0]["loss"]["forget"] != entries[3]["loss"]["forget"]
    assert measured(tmp_path / "orthograd_tau")
    classify = pipeline("audio-classification", model=str(tmp_path / "original"))
    answers = {row["id"]: row["hypothesis"] for row in rows(tmp_path / "original")}
    for utterance in read_manifest(copied / "manifest.jsonl")[:3]:
        assert classify(load_audio(utterance.audio))[0]["label"] == answers[utterance.id]
