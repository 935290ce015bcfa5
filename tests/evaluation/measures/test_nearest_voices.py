"""Retained speakers whose voices are nearest to the forgotten, and what unlearning did to them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import Split
from asr_unlearn.evaluation.jobs import Workers
from asr_unlearn.evaluation.measures import nearest_voices
from asr_unlearn.evaluation.measures.measure import Evaluated
from asr_unlearn.evaluation.measures.nearest_voices import NearestVoices, NearestVoicesMeasure
from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from tests.support.tiny_model import tiny_ecapa_options

CPU = torch.device("cpu")
# Directions of voices, in degrees: f is nearest to b and then to c.
VOICES = {"f": 0, "g": 90, "a": 180, "b": 10, "c": 75, "d": 45, "e": 200}


def corpus_of(tmp_path, forget=("f", "g")):
    utterances = [
        Utterance(id=f"{s}{i}", audio=Path("none"), speaker=s, seconds=1.0, text="a")
        for s in VOICES
        for i in range(3)
    ]
    parts = {
        "forget": tuple(u.id for u in utterances if u.speaker in forget),
        "retain": tuple(u.id for u in utterances if u.speaker not in forget),
    }
    return Corpus(utterances, Split(0, forget, (), parts), tmp_path)


@pytest.fixture
def classifier(tmp_path):
    EcapaConfig(**tiny_ecapa_options()).save_pretrained(tmp_path / "config")
    model, processor = model_from_config(
        str(tmp_path / "config"), list(VOICES), 0, "classification"
    )
    save_model(model, processor, tmp_path / "classifier")
    return tmp_path / "classifier"


def embedded(saved, utterances, *, device):
    noise = np.random.default_rng(0)
    angles = np.deg2rad([VOICES[u.speaker] + noise.normal() for u in utterances])
    lengths = noise.uniform(0.5, 2, len(utterances))
    return lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_the_nearest_are_those_of_the_smallest_angle(tmp_path, classifier, monkeypatch):
    monkeypatch.setattr(nearest_voices, "embeddings", embedded)
    found = NearestVoices.by(str(classifier), corpus_of(tmp_path), CPU)
    assert found.speakers == {"b", "c"}


def test_rates_of_the_nearest_and_of_the_others():
    rows = [
        {"part": part, "speaker": s, "word_errors": e, "words": 10,
         "character_errors": 0, "characters": 10}
        for part, s, e in (
            ("retain", "b", 3), ("retain", "c", 5), ("retain", "a", 1), ("retain", "d", 0),
            ("forget", "f", 10),
        )
    ]  # fmt: skip
    found = NearestVoices(frozenset("bc")).figures(rows)
    assert found == {"speakers": 2, "nearest_wer": 0.4, "other_wer": 0.05}
    classes = [{"part": "retain", "speaker": s, "errors": int(s == "b")} for s in "abcd"]
    found = NearestVoices(frozenset("bc")).figures(classes)
    assert found == {"speakers": 2, "nearest_accuracy": 0.5, "other_accuracy": 1.0}


def test_it_needs_a_classifier_and_enough_speakers(tmp_path, classifier, tiny_config):
    model, processor = model_from_config(str(tiny_config), ["a", "b"], 0)
    save_model(model, processor, tmp_path / "recogniser")
    models = [SavedModel("recogniser", 0, tmp_path / "recogniser")]

    def check(voices, **given):
        corpus = corpus_of(tmp_path, **given)
        evaluated = Evaluated(models, corpus, tmp_path, Workers(), CPU)
        NearestVoicesMeasure(str(voices)).check(evaluated)

    with pytest.raises(
        ValueError, match=r"nearest_voices=.*recogniser: not a classifier of speakers"
    ):
        check(tmp_path / "recogniser")
    with pytest.raises(ValueError, match=r"4 retained speakers .* but only 3 are retained"):
        check(classifier, forget=("a", "b", "c", "d"))
    check(classifier)


def test_an_evaluation_has_them_and_leaves_the_classifier_alone(setting, classifier):
    folder, run = setting
    before = sorted(classifier.iterdir())
    results = run(measures=[NearestVoicesMeasure(str(classifier))]).results
    for entry in results["models"]:
        found = entry["nearest_voices"]
        assert 0 < found["speakers"] <= 2
        assert {"nearest_wer", "other_wer"} < set(found)
    assert sorted(classifier.iterdir()) == before
    assert (folder / ".cache" / "voices" / "embeddings.npz").is_file()
