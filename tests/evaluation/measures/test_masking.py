"""Noise masking: where a word is, what hides it, and who writes it all the same."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.data.audio import load_audio
from asr_unlearn.evaluation.measures import masking
from asr_unlearn.evaluation.measures.masking import (
    Masked,
    Masking,
    behind_noise,
    label_frames,
    rarest_word,
    spoken,
)
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from tests.support.attacked_models import CPU, of


def test_frames_of_the_labels_of_a_path():
    path = torch.tensor([0, 3, 3, 0, 3, 5, 5, 0, 0, 4])
    assert label_frames(path, blank=0) == [(1, 3), (4, 5), (5, 7), (9, 10)]


def certain(task, path, monkeypatch):
    """A recogniser that is certain of this path."""
    vocabulary = len(task.processor.tokenizer)
    logits = 20 * torch.nn.functional.one_hot(torch.tensor([path]), vocabulary).float()
    monkeypatch.setattr(task, "logits", lambda batch: logits)
    monkeypatch.setattr(task, "frames", lambda samples: torch.tensor([len(path)]))


def test_a_word_lies_between_the_middles_of_the_delimiters(data, evaluated, monkeypatch):
    task = SavedModel.at(data.cache / "original").task(CPU)
    utterance = next(u for u in data.manifest if len(u.text.split()) == 2)
    labels = task.target(utterance).tolist()
    tokenizer = task.processor.tokenizer
    place = labels.index(tokenizer.convert_tokens_to_ids(tokenizer.word_delimiter_token))
    # Each label for two frames, with a blank behind it.
    path = [label for each in labels for label in (each, each, task.blank)]
    certain(task, path, monkeypatch)
    middle = (3 * place + 1) / len(path)
    assert spoken(task, utterance) == [(0, pytest.approx(middle)), (pytest.approx(middle), 1)]


def test_the_rarest_word_that_occurs_once(monkeypatch):
    places = [(0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)]
    monkeypatch.setattr(masking, "spoken", lambda task, utterance: places)
    task = SimpleNamespace(reference=lambda utterance: utterance)
    counts = Counter({"GO": 9, "MARY": 1, "ON": 1, "ROSE": 1})
    assert rarest_word(task, "GO ON MARY GO", counts) == Masked("MARY", 0.5, 0.8)
    assert rarest_word(task, "GO MARY ROSE GO", counts) == Masked("MARY", 0.2, 0.5)
    assert rarest_word(task, "GO GO", counts) is None
    assert rarest_word(task, "MARY", counts) is None


def test_the_word_is_hidden_and_nothing_else(data):
    utterance = data.manifest[0]
    wave = load_audio(utterance.audio)
    masks = {utterance.id: Masked("A", 0.25, 0.5)}
    found = behind_noise(masks, utterance)
    start, end = round(0.25 * len(wave)), round(0.5 * len(wave))
    assert np.array_equal(found[:start], wave[:start])
    assert np.array_equal(found[end:], wave[end:])
    hidden = found[start:end]
    assert abs(np.corrcoef(hidden, wave[start:end])[0, 1]) < 0.1
    assert np.sqrt(np.mean(hidden**2)) == pytest.approx(np.sqrt(np.mean(wave**2)), rel=0.1)
    assert np.array_equal(found, behind_noise(masks, utterance))


def test_who_knows_a_transcript_by_heart_writes_the_word(data, evaluated, monkeypatch):
    """Planted: a model that writes the whole transcript, and one that writes nothing."""
    model = SavedModel.at(data.cache / "original")
    writers = {"by heart": lambda u: u.text, "nothing": lambda u: ""}
    found = {}
    for name, writes in writers.items():

        def score(task, inputs, utterances, description, writes=writes):
            for utterance in utterances:
                inputs(utterance)
            return [SimpleNamespace(utterance=u, hypothesis=writes(u)) for u in utterances]

        monkeypatch.setattr(masking, "score", score)
        job = Masking(model, data, CPU, model)
        job.make()
        found[name] = job.figures()
        job.path.unlink()
    assert found["by heart"]["forget_written"] == found["by heart"]["unseen_written"] == 1
    assert found["nothing"]["forget_written"] == found["nothing"]["unseen_written"] == 0
    assert found["nothing"]["forget_utterances"] > 1


def test_from_the_command_line(data, evaluated):
    out = data.cache / "masked.json"
    models = ["--models", "original,retrained,forgotten", "--out", str(out)]
    main(["evaluate", *of(data), *models, "--measures", "masking"])
    for entry in read_results(out).record["models"]:
        assert 0 <= entry["masking"]["forget_written"] <= 1
        assert entry["masking"]["unseen_utterances"] > 0


def test_models_without_ctc_are_refused(monkeypatch, data, evaluated):
    monkeypatch.setattr(SavedModel, "kind", lambda self: "seq2seq")
    given = SimpleNamespace(models=[SavedModel.at(data.cache / "original")])
    with pytest.raises(InputError, match="masking aligns words by CTC"):
        masking.MaskingMeasure().check(given)
