"""A frozen encoder encodes each utterance once, and changes nothing else."""

from dataclasses import replace

import pytest
import torch

from asr_unlearn.data.batching import collate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.encoder_states import EncoderStates
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import task_for
from asr_unlearn.training.clock import Clock
from tests.support.whisper_task import batches, build, load, utterances


@pytest.fixture
def task(tmp_path):
    return build(tmp_path)


def encoded(task):
    """How many utterances the encoder is given, in a list that grows."""
    sizes = []
    task.model.model.encoder.register_forward_hook(
        lambda _, __, output: sizes.append(len(output.last_hidden_state))
    )
    return sizes


def gradients(task, batch):
    trained = {n: p for n, p in task.model.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(task.losses(batch).sum(), list(trained.values()), allow_unused=True)
    return dict(zip(trained, found, strict=True))


def test_losses_and_gradients_of_the_decoder_are_the_same(task):
    batch, _ = batches(task)
    losses, expected = task.losses(batch), gradients(task, batch)
    task.freeze_encoder()
    for _ in range(2):
        torch.testing.assert_close(task.losses(batch), losses)
        found = gradients(task, batch)
        assert found
        assert not any("encoder." in name and "encoder_attn" not in name for name in found)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-7)


def test_each_utterance_is_encoded_once(task):
    whole, alone = batches(task)
    task.freeze_encoder()
    sizes = encoded(task)
    with torch.inference_mode():
        # What a check has encoded is trained on later.
        texts = task.score(whole).texts
    gradients(task, whole)
    for batch in alone:
        gradients(task, batch)
    assert sizes == [len(whole)]
    with torch.inference_mode():
        assert task.score(whole).texts == texts


def test_augmented_features_and_another_window_are_encoded_anew(task):
    batch, _ = batches(task)
    task.freeze_encoder()
    sizes = encoded(task)
    task.losses(batch)
    changed = batch.inputs.clone()
    changed[1] += 0.1
    task.losses(replace(batch, inputs=changed))
    assert sizes == [4, 1]
    task.front_end.set_window(1.0)
    task.losses(batch)
    assert sizes == [4, 1, 4]


def test_an_encoder_that_is_trained_or_has_dropout_is_not_kept(task):
    batch, _ = batches(task)
    sizes = encoded(task)
    task.losses(batch)
    task.losses(batch)
    task.freeze_encoder()
    task.model.train()
    task.losses(batch)
    assert sizes == [4, 4, 4]


def test_passes_count_whether_or_not_the_states_are_kept(task):
    batch, _ = batches(task)
    task.freeze_encoder()
    clock = Clock()
    with clock.phase("steps"), clock.counting(task.model):
        for _ in range(2):
            task.losses(batch).sum().backward()
    cost = clock.costs["steps"]
    assert (cost.forward, cost.backward, cost.generated) == (8, 8, 0)


def test_the_states_that_were_used_longest_ago_make_room():
    states = EncoderStates(most_bytes=2 * 8)
    features = torch.arange(3.0)[:, None, None]
    made = []

    def states_of(*indices):
        chosen = features[list(indices)]

        def encode(missing):
            made.append([indices[i] for i in missing])
            return 10 * chosen[missing].repeat(1, 2, 1)

        found = states.of(chosen, torch.ones(len(indices), dtype=torch.long), encode)
        assert torch.equal(found, 10 * chosen.repeat(1, 2, 1))

    for indices in ((0, 1), (0,), (2,), (0,), (1,), (0, 1, 2, 1)):
        states_of(*indices)
    # 2 took the place of 1, 1 that of 2, and three do not fit at once.
    assert made == [[0, 1], [2], [1], [2]]


def test_a_model_without_a_decoder_is_refused(tiny_config):
    ctc = task_for(*model_from_config(str(tiny_config), "ABCD", seed=0))
    with pytest.raises(ValueError, match="only the encoder of a model with a decoder"):
        ctc.freeze_encoder()


def test_padding_belongs_to_no_utterance(task):
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    task.freeze_encoder()
    sizes = encoded(task)
    task.losses(collate(examples[:2]))
    task.losses(collate(examples))
    assert sizes == [2, 2]
