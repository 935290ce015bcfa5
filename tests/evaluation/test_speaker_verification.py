"""Speaker classifiers verify speakers, and judge what recognisers have forgotten."""

import json
import shutil

import numpy as np
import pytest
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.split_file import write_split
from asr_unlearn.evaluation.evaluate import evaluate
from asr_unlearn.evaluation.predictions import embeddings
from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.evaluation.speaker_verification import Judge, Trials, names_speakers, verification
from asr_unlearn.metrics.verification import Trial, equal_error_rate
from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from tests.support.tiny_model import tiny_ecapa_options

CPU = torch.device("cpu")


@pytest.fixture
def data(corpus):
    return Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")


@pytest.fixture
def judge(corpus, data, tmp_path):
    """The output folder of a classifier's run: an original and a model that was unlearned."""
    folder = tmp_path / "judge"
    folder.mkdir()
    for name in ("manifest.jsonl", "split.json"):
        shutil.copy(corpus / name, folder / name)
    for wave in corpus.glob("*.wav"):
        (folder / wave.name).symlink_to(wave)
    config = EcapaConfig(**tiny_ecapa_options(), architectures=["EcapaForAudioClassification"])
    config.save_pretrained(tmp_path / "ecapa")
    speakers = sorted({u.speaker for u in data.part("forget", "retain")})
    for seed, name in enumerate(("original", "orthograd")):
        model, extractor = model_from_config(str(tmp_path / "ecapa"), speakers, seed)
        save_model(model, extractor, folder / name)
    return folder


def test_drawn_trials_are_among_unseen_speakers(data):
    trials = Trials.of(data)
    speaker = {u.id: u.speaker for u in data.manifest}
    others = {u.speaker for u in data.part("unseen", "test")}
    trained = {u.speaker for u in data.part("forget", "retain")}
    assert {speaker[i] for t in trials.unseen for i in (t.first, t.second)} == others - trained
    for trial in trials.forget:
        pair = {speaker[trial.first], speaker[trial.second]}
        assert pair & set(data.split.forget_speakers)
        assert pair <= others | set(data.split.forget_speakers)
        assert trial.same == (len(pair) == 1)


def test_listed_trials_of_training_speakers_are_passed_over(data, tmp_path, caplog):
    (unseen, other), trained = data.part("unseen")[:2], data.part("retain")[0]
    listed = tmp_path / "trials.txt"
    listed.write_text(f"1 {unseen.id} {other.id}\n0 {unseen.id} {trained.id}\n")
    assert Trials.of(data, listed).unseen == [Trial(True, unseen.id, other.id)]
    heldout = data.part("forget_heldout")[0]
    listed.write_text(f"0 {unseen.id} {trained.id}\n0 {unseen.id} {heldout.id}\n")
    assert Trials.of(data, listed) == Trials.of(data)
    assert f"{listed}: each trial has a speaker that models were trained on" in caplog.text


def test_verification_is_that_of_the_saved_embeddings(data, judge):
    model, trials = SavedModel.at(judge / "original"), Trials.of(data)
    assert names_speakers(model, data.manifest)
    found = verification(model, data, trials, device=CPU)
    vectors = embeddings(model, data.manifest, device=CPU)
    by_id = {u.id: v for u, v in zip(data.manifest, vectors, strict=True)}
    for prefix, chosen in (("", trials.unseen), ("forget_", trials.forget)):
        pairs = [(by_id[t.first], by_id[t.second]) for t in chosen]
        scores = np.array([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])
        same = np.array([t.same for t in chosen])
        assert found[f"{prefix}eer"] == pytest.approx(equal_error_rate(scores, same))
        mean = pytest.approx(scores[same].mean(), abs=1e-5)
        assert found[f"{prefix}similarity_same"] == mean
    assert found["trials"] == len(trials.unseen)


def test_the_judge_is_the_classifier_of_the_same_name(
    corpus, data, judge, tiny_config, tmp_path, caplog
):
    out = tmp_path / "out"
    for name in ("original", "retrained"):
        recogniser, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), 0)
        save_model(recogniser, processor, out / name)
    models = [SavedModel(name, 0, out / name) for name in ("original", "retrained")]
    results = evaluate(
        models,
        data.manifest,
        data.split,
        root=out,
        corpus="hums",
        left_out={},
        device=CPU,
        judge=judge,
    ).results
    original, retrained = (entry.get("speaker_id", {}) for entry in results["models"])
    # The judge's folder is left as it is.
    assert not list(judge.rglob("utterances.jsonl"))
    kept = set((out / ".cache" / "predictions").glob("*/utterances.jsonl"))
    (file,) = (path for path in kept if path.parent.name not in ("original", "retrained"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    judged = Judge.at(judge, data, out).figures(models[0], device=CPU)
    assert {key: original[key] for key in judged} == judged
    assert set(judged) == {"judge_forget", "judge_retain", "judge_eer"}
    for part in ("forget", "retain"):
        right = [r["hypothesis"] == r["speaker"] for r in rows if r["part"] == part]
        assert judged[f"judge_{part}"] == pytest.approx(sum(right) / len(right))
    assert not set(judged) & set(retrained)
    assert "no classifier retrained of seed 0" in caplog.text
    assert "verification" not in results["models"][0]
    write_results(out / "results.json", results)
    assert read_results(out / "results.json")


def test_a_judge_of_another_split_is_refused(data, judge, tmp_path):
    other = make_split(data.manifest, ["s2"], seed=1)
    write_split(judge / "split.json", other, judge / "manifest.jsonl")
    with pytest.raises(ValueError, match=r"for another split: \d+ utterances of forget"):
        Judge.at(judge, data, tmp_path)
    with pytest.raises(ValueError, match=r"no manifest\.jsonl and split\.json"):
        Judge.at(tmp_path, data, tmp_path)
