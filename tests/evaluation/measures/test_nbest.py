"""The best among several transcripts: those of a beam search, and their errors."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import Split
from asr_unlearn.evaluation.measures import nbest
from asr_unlearn.evaluation.measures.nbest import COUNT, NBest, NBestMeasure, fewest_errors
from asr_unlearn.metrics.wer import Errors
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.seq2seq import Seq2Seq
from asr_unlearn.runtime.errors import InputError
from tests.support import whisper_task

TEXTS = {"a": "AB CAD AB", "b": "ABAC", "c": "DAD CAB AB"}


def test_the_nearest_transcript_counts():
    assert fewest_errors("A B C", ["A", "A B D", "A B"]) == Errors(1, 3)
    assert fewest_errors("A B C", ["X Y Z W", "A B C"]) == Errors(0, 3)


def test_the_first_is_that_of_a_beam_search_and_none_is_twice(tmp_path):
    task = whisper_task.build(tmp_path)
    batch, _ = whisper_task.batches(task, TEXTS)
    with torch.inference_mode():
        found = task.best_transcripts(batch, COUNT)
        task.beams = COUNT
        first = task.score(batch).texts
    assert [own[0] for own in found] == first
    assert [len(own) for own in found] == [COUNT] * len(TEXTS)
    assert all(len(set(own)) > 1 for own in found)


def test_figures_are_of_each_part(tmp_path, monkeypatch):
    task = whisper_task.build(tmp_path)
    utterances = whisper_task.utterances(TEXTS)
    parts = {"forget": ("a", "b"), "unseen": ("c",), "retain": ()}
    split = Split(0, ("a", "b"), ("c",), parts)
    corpus = Corpus(utterances, split, tmp_path / "cache")
    monkeypatch.setattr(SavedModel, "task", lambda self, device: task)
    written = {"AB CAD AB": ["AB", "AB CAD AB"], "ABAC": ["CAB"], "DAD CAB AB": ["DAD CAB"]}
    monkeypatch.setattr(
        Seq2Seq,
        "best_transcripts",
        lambda self, batch, count: [written[TEXTS[name]] for name in batch.ids],
    )
    monkeypatch.setattr(nbest, "Inputs", partial(Inputs, load=whisper_task.load))
    monkeypatch.setattr(NBest, "path", tmp_path / "nbest.json")
    job = NBest(SavedModel("m", 0, tmp_path), corpus, torch.device("cpu"))
    job.make()
    assert job.figures() == {
        "forget_utterances": 2,
        "forget_oracle_wer": pytest.approx(1 / 4),
        "forget_found": 0.5,
        "unseen_utterances": 1,
        "unseen_oracle_wer": pytest.approx(1 / 3),
        "unseen_found": 0.0,
    }


def test_models_without_a_decoder_are_refused():
    given = SimpleNamespace(models=[SimpleNamespace(kind=lambda: "ctc")])
    with pytest.raises(InputError, match="nbest searches with a decoder"):
        NBestMeasure().check(given)
