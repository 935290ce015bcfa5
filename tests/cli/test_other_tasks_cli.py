"""From audio to report with Whisper and with a classifier, as with a CTC recogniser."""

import json
import shutil
from dataclasses import replace

import jiwer
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    Wav2Vec2Config,
    WhisperConfig,
    pipeline,
)

from asr_unlearn.cli.main import main
from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance, read_manifest, write_manifest
from asr_unlearn.data.split import OF_EVERY_SPLIT
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import UtteranceLoss, group_score
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.cache import predictions_folder
from asr_unlearn.training.difficulty import shrunk_difficulty
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import OriginalScores, forget_difficulty, stop_rule
from asr_unlearn.training.unlearn import PARTS_USED
from asr_unlearn.training.unlearning_data import UnlearningData
from tests.support.flags import flags
from tests.support.rates import rate
from tests.support.tiny_model import tiny_options, tiny_whisper_options


@pytest.fixture
def copied(corpus, tmp_path):
    """The corpus in a folder of its own."""
    shutil.copytree(corpus, tmp_path / "corpus")
    return tmp_path / "corpus"


def run(folder, config, out, training, options):
    """Original, retrained and two methods, evaluated and reported; the results."""
    data = ["--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / "split.json")]
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *data, "--model", str(config), "--parts", parts, *training]
        main([*argv, "--out", str(out / name), *flags("finetune", **options)])
    for method in ("orthograd_tau", "gradient_ascent"):
        argv = ["unlearn", *data, "--model", str(out / "original"), "--method", method]
        # By steps: whether so small a model has learned enough to forget is left to luck.
        argv += ["--stop.rule", "steps", *flags("method", epochs=2, **rate(method, 1e-3))]
        main([*argv, "--out", str(out / method)])
    models = "original,retrained,orthograd_tau,gradient_ascent"
    main(["evaluate", *data, "--models", models, "--out", str(out / "results.json")])
    main(["report", "--results", str(out / "results.json")])
    return json.loads((out / "results.json").read_text())["models"]


def rows(folder):
    kept = predictions_folder(folder, folder.parent) / "utterances.jsonl"
    return [json.loads(line) for line in kept.read_text().splitlines()]


def stopping(data, folder):
    """The early stopping that unlearning the model in `folder` begins with, and its first check."""
    corpus = Corpus.read(data / "manifest.jsonl", data / "split.json")
    inputs = Inputs(SavedModel.at(folder).task(torch.device("cpu")))
    set_window(inputs.task, "auto", corpus.manifest)
    data = UnlearningData.of(inputs.task, {part: corpus.part(part) for part in PARTS_USED})
    original = OriginalScores.of(inputs, data, Stop(), target=True)
    difficulty = forget_difficulty(inputs, data, Stop(), original)
    rule = stop_rule(inputs, original.unseen, Stop(), difficulty)
    return rule, group_score(inputs, data.parts["forget"])


def losses(folder, part):
    return [
        UtteranceLoss(Utterance(id="u", audio=folder, speaker="s", seconds=1.0), row["loss"])
        for row in rows(folder)
        if row["part"] == part
    ]


def test_whisper(copied, tmp_path):
    WhisperConfig(**tiny_whisper_options()).save_pretrained(tmp_path / "config")
    entries = run(copied, tmp_path / "config", tmp_path, [], {"epochs": 2, "lr": 3e-3})
    for entry in entries:
        said = rows(tmp_path / entry["path"])
        assert {row["part"] for row in said} == set(OF_EVERY_SPLIT)
        for part in OF_EVERY_SPLIT:
            chosen = [row for row in said if row["part"] == part]
            texts = [r["reference"] for r in chosen], [r["hypothesis"] for r in chosen]
            assert entry["wer"][part] == pytest.approx(jiwer.wer(*texts))
            assert entry["loss"][part] > 0
    assert entries[2]["cost"]["relative_to_retraining"] > 0
    assert entries[0]["loss"]["forget"] != entries[3]["loss"]["forget"]
    # Measured on the original, by generation: what the report says of it.
    rule, first = stopping(copied, tmp_path / "original")
    assert first.loss == pytest.approx(entries[0]["loss"]["forget"], abs=1e-4)
    assert first.cer == pytest.approx(entries[0]["cer"]["forget"], abs=1e-6)
    groups = (losses(tmp_path / "original", part) for part in ("forget", "retain"))
    target = entries[0]["loss"]["unseen"] * shrunk_difficulty(*groups)
    assert rule.target.loss == pytest.approx(target, abs=1e-4)
    # Spectrograms are made once, for all runs.
    assert len(list((tmp_path / ".cache" / "features").rglob("*.features"))) == 32 - len(
        [row for row in said if row["part"] in ("test", "forget_heldout")]
    )
    argv = ["--manifest", str(copied / "manifest.jsonl"), "--split", str(copied / "split.json")]
    argv += ["--model", str(tmp_path / "original"), "--out", str(tmp_path / "decoder")]
    main(["unlearn", *argv, "--freeze_encoder", "true", "--stop.rule", "steps"])
    before, after = (
        load_file(tmp_path / name / "model.safetensors") for name in ("original", "decoder")
    )
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("model.decoder.") for name in changed)
    recogniser = pipeline("automatic-speech-recognition", model=str(tmp_path / "orthograd_tau"))
    transcripts = {row["id"]: row["hypothesis"] for row in rows(tmp_path / "orthograd_tau")}
    for utterance in read_manifest(copied / "manifest.jsonl")[:3]:
        found = recogniser(load_audio(utterance.audio), generate_kwargs={"num_beams": 1})
        assert found["text"].strip() == transcripts[utterance.id]


def classifier(folder):
    sizes = tiny_options() | {"feat_extract_norm": "layer", "classifier_proj_size": 8}
    Wav2Vec2Config(**sizes).save_pretrained(folder)
    return folder


def accuracies(said):
    """Of each part that was answered."""
    parts = {row["part"] for row in said}
    chosen = {part: [r for r in said if r["part"] == part] for part in parts}
    return {
        part: sum(r["hypothesis"] == r["reference"] for r in of) / len(of)
        for part, of in chosen.items()
    }


def loss_as(folder, utterances, label):
    """Mean loss of a saved classifier, were that the right answer."""
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    losses = []
    for utterance in utterances:
        inputs = extractor(load_audio(utterance.audio), sampling_rate=16_000, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits[0]
        losses.append(-logits.log_softmax(-1)[model.config.label2id[label(len(losses))]].item())
    return sum(losses) / len(losses)


def test_a_classifier_of_speakers(copied, tmp_path):
    training = ["--task", "classification"]
    config = classifier(tmp_path / "config")
    entries = run(copied, config, tmp_path, training, {"epochs": 4, "lr": 2e-3})
    split = json.loads((copied / "split.json").read_text())
    manifest = read_manifest(copied / "manifest.jsonl")
    for entry in entries:
        said = rows(tmp_path / entry["path"])
        assert all(row["reference"] == row["speaker"] for row in said)
        # It has no class for an unseen speaker.
        assert entry["accuracy"] == pytest.approx(accuracies(said))
        assert set(entry["accuracy"]) == {"forget", "forget_heldout", "retain"}
        assert not {"wer", "cer", "confusion"} & set(entry)
        assert set(entry["gap_to_retrained"]["accuracy"]) == set(entry["accuracy"])
        # Compared with the same speakers' held-out utterances.
        assert entry["membership"]["pairs"] == len(split["parts"]["forget_heldout"])
    assert entries[0]["loss"]["forget"] != entries[3]["loss"]["forget"]
    # The target of a forgotten voice: how far unseen speakers' voices are from it.
    unseen = [u for u in manifest if u.id in split["parts"]["unseen"]]
    names = split["forget_speakers"]
    target = loss_as(tmp_path / "original", unseen, lambda i: names[i % len(names)])
    rule, _ = stopping(copied, tmp_path / "original")
    assert rule.target.loss == pytest.approx(target, abs=1e-4)
    classify = pipeline("audio-classification", model=str(tmp_path / "original"))
    answers = {row["id"]: row["hypothesis"] for row in rows(tmp_path / "original")}
    known = [u for u in manifest if u.id in answers]
    assert known
    for utterance in known[:3]:
        assert classify(load_audio(utterance.audio))[0]["label"] == answers[utterance.id]


def test_a_classifier_that_forgets_a_word(copied, tmp_path):
    manifest = copied / "manifest.jsonl"
    utterances = [replace(u, label=u.text) for u in read_manifest(manifest)]
    write_manifest(manifest, utterances)
    argv = ["--manifest", str(manifest), "--out", str(copied / "split.json")]
    main(["split", *argv, "--forget_labels", "A CAB", "--heldout", "0.4"])
    training = ["--task", "classification"]
    config = classifier(tmp_path / "config")
    entries = run(copied, config, tmp_path, training, {"epochs": 4, "lr": 2e-3})
    words = sorted({u.label for u in utterances})
    for entry in entries:
        said = rows(tmp_path / entry["path"])
        assert entry["accuracy"] == pytest.approx(accuracies(said))
        assert set(entry["accuracy"]) == set(OF_EVERY_SPLIT)
        assert entry["confusion"]["labels"] == words
        assert not any(entry["confusion"]["counts"][words.index("A CAB")])
        assert sum(map(sum, entry["confusion"]["counts"])) == sum(
            row["part"] == "test" for row in said
        )
        assert "speaker_id" not in entry
    # The retrained model has the word among its answers, and was never shown it.
    shown = json.loads((tmp_path / "retrained" / "config.json").read_text())
    assert sorted(shown["label2id"]) == words
    split = json.loads((copied / "split.json").read_text())
    unseen = [u for u in utterances if u.id in split["parts"]["unseen"]]
    target = loss_as(tmp_path / "original", unseen, lambda _: "A CAB")
    rule, _ = stopping(copied, tmp_path / "original")
    assert rule.target.loss == pytest.approx(target, abs=1e-4)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["task"] == "classification"
    assert results["split"]["forget_labels"] == ["A CAB"]
    record = json.loads((tmp_path / "gradient_ascent" / "deletion_record.json").read_text())
    assert record["forgotten"]["labels"] == 1
    assert record["figures"]["accuracy"] == entries[3]["accuracy"]
    main(["verify", "--model", str(tmp_path / "gradient_ascent"), "--full", "true"])
