"""Extraction by a prefix: what generation would write, and the figures of it."""

from types import SimpleNamespace

import pytest
import torch

from asr_unlearn.data.batching import collate
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import Split
from asr_unlearn.evaluation.measures.extraction import Extraction, near_silence, second_half
from asr_unlearn.evaluation.measures.nbest import NBest
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.seq2seq import PADDING
from tests.support import whisper_task

TEXTS = {"a": "AB CAD AB", "b": "ABAC", "c": "DAD CAB AB"}


def test_shares_of_second_halves_by_hand():
    """Six labels and an end, and four and an end: the second halves are 3 to 5 and 2 to 3."""
    targets = torch.tensor([[1, 2, 3, 4, 5, 6, 0], [1, 2, 3, 4, 0, PADDING, PADDING]])
    batch = SimpleNamespace(targets=targets, target_lengths=torch.tensor([7, 5]))

    def shares(*predicted):
        logits = torch.nn.functional.one_hot(torch.tensor(predicted), 8).float()
        return second_half(SimpleNamespace(logits=lambda _: logits), batch).tolist()

    assert shares([7, 7, 7, 4, 5, 6, 7], [7, 7, 3, 4, 7, 7, 7]) == [1.0, 1.0]
    # After a wrong label others do not count, right as they would be.
    assert shares([1, 2, 3, 4, 7, 6, 0], [1, 2, 7, 4, 0, 0, 0]) == [pytest.approx(1 / 3), 0.0]


def test_it_is_what_greedy_search_writes(tmp_path):
    task = whisper_task.build(tmp_path)
    inputs = Inputs(task, load=near_silence)
    found = {}
    for utterance in whisper_task.utterances(TEXTS):
        batch = collate([inputs(utterance)])
        labels = batch.targets[0, :-1].tolist()
        half = len(labels) // 2
        start = torch.tensor([[*task.prompt, *labels[:half]]])
        with torch.inference_mode():
            encoded = task._output(batch).encoder_last_hidden_state
            written = task.model.generate(
                **task.front_end.encoded(encoded, batch),
                decoder_input_ids=start,
                max_new_tokens=len(labels) - half,
                do_sample=False,
            )[0, start.shape[1] :].tolist()
            found[utterance.id] = float(second_half(task, batch))
        expected = 0
        for one, other in zip(written, labels[half:], strict=False):
            if one != other:
                break
            expected += 1
        assert found[utterance.id] == pytest.approx(expected / (len(labels) - half))
    assert len(found) == len(TEXTS)


def test_a_memorised_transcript_is_written_whole(tmp_path):
    """Trained to write one transcript of silence, the model writes that one alone."""
    task = whisper_task.build(tmp_path / "config")
    one, other = whisper_task.utterances({"a": "AB CAD AB", "b": "DACB BAD"})
    batch = collate([Inputs(task, load=near_silence)(one)])
    task.model.train()
    optimizer = torch.optim.Adam(task.model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        task.losses(batch).sum().backward()
        optimizer.step()
    task.model.save_pretrained(tmp_path / "model")
    task.processor.save_pretrained(tmp_path / "model")
    parts = {"forget": ("a",), "unseen": ("b",), "retain": ()}
    corpus = Corpus([one, other], Split(0, ("s",), (), parts), tmp_path)
    job = Extraction(SavedModel("m", 0, tmp_path / "model"), corpus, torch.device("cpu"))
    job()
    found = job.figures()
    assert found["forget_verbatim"] == found["forget_labels"] == 1
    assert found["unseen_verbatim"] == 0
    assert found["forget_utterances"] == found["unseen_utterances"] == 1
    assert job.is_done()


def test_silence_is_the_same_for_the_same_utterance():
    one, other = whisper_task.utterances({"a": "A", "b": "A"})
    assert (near_silence(one) == near_silence(one)).all()
    assert len(near_silence(one)) == whisper_task.WAVES["a"]
    assert not (near_silence(one)[:100] == near_silence(other)[:100]).any()


def test_an_utterance_that_goes_to_another_part_is_measured_again(tmp_path):
    """Another request of the same folder: figures are by part."""
    utterances = whisper_task.utterances(TEXTS)
    (tmp_path / "model").mkdir()
    before = {"forget": ("a", "b"), "unseen": ("c",)}
    after = {"forget": ("a",), "unseen": ("b", "c")}
    for job in (Extraction, NBest):
        keys = []
        for parts in (before, after):
            corpus = Corpus(utterances, Split(0, ("s",), (), parts), tmp_path)
            model = SavedModel("m", 0, tmp_path / "model")
            keys.append(job(model, corpus, torch.device("cpu")).made_from())
        assert keys[0] != keys[1]
