"""CTC with a vocabulary of subwords: what is encoded is decoded, whatever the path."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    AutoModelForCTC,
    LasrFeatureExtractor,
    LasrProcessor,
    OmniASRCTCProcessor,
    OmniASRFeatureExtractor,
    ParakeetFeatureExtractor,
    ParakeetProcessor,
)

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.tasks import CTC
from asr_unlearn.runtime.errors import InputError
from tests.support import subword_tokenizers
from tests.support.tiny_families import tiny_family

SAMPLES = 48_000
words = st.text("ABCD", min_size=1, max_size=4)
texts = st.lists(words, min_size=1, max_size=3).map(" ".join)


def task_of(kind, processor, **changes):
    model = AutoModelForCTC.from_config(tiny_family(kind, **changes))
    return CTC(model.eval(), processor)


TASKS = {
    "parakeet_ctc": lambda: task_of(
        "parakeet_ctc",
        ParakeetProcessor(ParakeetFeatureExtractor(feature_size=16), subword_tokenizers.parakeet()),
    ),
    "lasr_ctc": lambda: task_of(
        "lasr_ctc",
        LasrProcessor(LasrFeatureExtractor(feature_size=16), subword_tokenizers.lasr()),
        vocab_size=13,
    ),
    "omniasr_ctc": lambda: task_of(
        "omniasr_ctc",
        OmniASRCTCProcessor(OmniASRFeatureExtractor(), subword_tokenizers.omniasr()),
        vocab_size=14,
    ),
}


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    return TASKS[request.param]()


def utterance(text):
    return Utterance(id="u", audio=Path("u"), speaker="s", seconds=3.0, text=text)


@given(text=texts, data=st.data())
def test_a_path_of_the_target_is_decoded_to_the_text(task, text, data):
    labels = task.target(utterance(text)).tolist()
    path = []
    for before, label in zip([None, *labels], labels, strict=False):
        # Two equal labels are two only with a blank between them.
        blanks = data.draw(st.integers(int(before == label), 1))
        path += [task.blank] * blanks + [label] * data.draw(st.integers(1, 2))
    samples = torch.tensor([SAMPLES])
    frames = int(task.frames(samples))
    path = path[:frames] + [task.blank] * (frames - len(path))
    # What lies behind the utterance's end means nothing.
    path += [labels[0]] * 3
    logits = F.one_hot(torch.tensor([path]), len(task.head.weight)).float()
    empty = torch.empty(1, 0, dtype=torch.long)
    batch = Batch(("u",), torch.zeros(1, SAMPLES), samples, empty, torch.tensor([0]))
    assert task.transcripts(logits, batch) == [text]


def test_a_character_that_no_piece_has_is_named(task):
    with pytest.raises(InputError, match=r"utterance u: the vocabulary lacks 'X' of 'BAX'"):
        task.target(utterance("BAX"))


def test_transcripts_are_put_in_the_case_of_the_pieces(task):
    assert task.spelling == "upper"
    assert torch.equal(task.target(utterance("bad cab")), task.target(utterance("BAD CAB")))


def test_the_blank_is_the_models(task):
    """OmniASR's is a token beside that of padding."""
    assert task.blank == 0
    omniasr = hasattr(task.model.config, "blank_token_id")
    assert task.processor.tokenizer.pad_token_id == (1 if omniasr else 0)
