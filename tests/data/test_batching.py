"""Every utterance once an epoch, little padding, and random access to any step."""

import itertools
from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.data.batching import (
    BatchSource,
    Example,
    by_length,
    collate,
    cut,
    epoch_order,
)
from asr_unlearn.data.manifest import Utterance

lengths = st.lists(st.floats(0.1, 30), min_size=1, max_size=200)


@given(lengths, st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_holds_every_utterance_once(seconds, batch_size, seed, epoch):
    batches = epoch_order(seconds, batch_size, seed, epoch)
    assert sorted(i for batch in batches for i in batch) == list(range(len(seconds)))
    assert max(map(len, batches)) <= batch_size
    assert len(batches) == -(-len(seconds) // batch_size)
    assert batches == epoch_order(seconds, batch_size, seed, epoch)


def test_lengths_are_bucketed_and_epochs_differ():
    seconds = np.random.default_rng(0).uniform(1, 20, size=1000).tolist()
    batches = epoch_order(seconds, 8, seed=0, epoch=0)
    padding = 1 - sum(seconds) / sum(len(b) * max(seconds[i] for i in b) for b in batches)
    assert padding < 0.05
    assert batches != epoch_order(seconds, 8, seed=0, epoch=1)


def example(utterance: Utterance) -> Example:
    wave = torch.full((round(utterance.seconds * 10),), float(utterance.id))
    return Example(utterance.id, wave, len(wave), torch.arange(int(utterance.id) % 3 + 1))


def utterances(count: int) -> list[Utterance]:
    return [
        Utterance(id=str(i), audio=Path("x"), speaker="s", seconds=1.0 + i % 4, text="A")
        for i in range(count)
    ]


def test_padding_is_zero_and_minus_100():
    batch = collate([example(u) for u in utterances(4)])
    assert batch.inputs.shape == (4, 40)
    assert batch.samples.tolist() == [10, 20, 30, 40]
    assert batch.inputs[1, 20:].eq(0).all()
    assert batch.inputs[1, :20].eq(1).all()
    assert batch.targets.tolist()[0] == [0, -100, -100]
    assert batch.target_lengths.tolist() == [1, 2, 3, 1]


def test_a_stream_is_a_function_of_the_step():
    one, other = (BatchSource(utterances(21), example, batch_size=4, seed=7) for _ in range(2))
    ahead = [one[step].ids for step in range(14)]
    assert [other[step].ids for step in reversed(range(14))] == ahead[::-1]
    for epoch in (ahead[:6], ahead[6:12]):
        assert sorted(i for ids in epoch for i in ids) == sorted(u.id for u in utterances(21))


def test_batches_are_on_the_requested_device():
    source = BatchSource(utterances(3), example, batch_size=2, seed=0, device=torch.device("meta"))
    batch = source[0]
    assert {batch.inputs.device.type, batch.samples.device.type, batch.targets.device.type} == {
        "meta"
    }


def test_evaluation_begins_with_the_longest():
    groups = by_length(utterances(9), 4)
    assert [len(g) for g in groups] == [4, 4, 1]
    assert groups[0][0].seconds == 4.0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.floats(1, 200))
def test_pieces_hold_everything_once_and_as_much_as_they_may(lengths, longest):
    pieces = [lengths[piece] for piece in cut(lengths, longest)]
    assert [length for piece in pieces for length in piece] == lengths
    padded = [len(piece) * max(piece) for piece in pieces]
    assert all(len(p) == 1 or size <= longest for p, size in zip(pieces, padded, strict=True))
    # The first of the next piece would not have fitted.
    for piece, following in itertools.pairwise(pieces):
        assert (len(piece) + 1) * max([*piece, following[0]]) > longest


def test_a_batch_in_pieces_is_the_batch_with_less_padding():
    given = utterances(9)
    whole = BatchSource(given, example, batch_size=9, seed=0)
    cut_up = BatchSource(given, example, batch_size=9, seed=0, longest=60.0)
    pieces, batch = cut_up.pieces(0), whole[0]
    assert len(pieces) > 1
    assert tuple(i for piece in pieces for i in piece.ids) == batch.ids
    assert sum(piece.inputs.numel() for piece in pieces) < batch.inputs.numel()
    assert [len(p) for p in whole.pieces(0)] == [9]
    # Where each utterance is padded to 30 samples, two fill a piece.
    padded = BatchSource(given, example, batch_size=9, seed=0, longest=60.0, shortest=30)
    assert {len(p) for p in padded.pieces(0)[:-1]} <= {1, 2}
