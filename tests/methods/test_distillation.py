"""Divergences from a teacher, and untrained teachers."""

import pytest
import torch

from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.methods.distillation import divergence_from, untrained
from asr_unlearn.metrics.divergence import divergences
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import task_for
from tests.support.toy_task import ToyModel, close, context, softmax


def test_divergence_is_a_mean_over_true_frames_only():
    p, q = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.25, 0.75], [0.2, 0.8]])
    true = torch.tensor([[True, True], [True, False]])
    stacked = torch.stack([p, p]).log(), torch.stack([q, q]).log()
    one = (p * (p / q).log()).sum(-1)
    torch.testing.assert_close(divergences(*stacked, true), torch.stack([one.mean(), one[0]]))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_softened_divergence_has_the_gradient_of_distillation(temperature):
    """T²·KL(q_T ‖ p_T) has the gradient T·(p_T − q_T) with respect to the logits."""
    given = context()
    teacher = untrained(given.task, seed=3)
    batch = given.sources["retain"][0]
    losses = divergence_from(teacher, given.task, temperature)
    found, _ = given.gradient(batch, losses=losses)
    x = batch.inputs.numpy()
    p, q = (softmax(x @ m.weight.detach().numpy().T / temperature)
            for m in (given.model, teacher.model))  # fmt: skip
    expected = (temperature * (p - q)[:, :, None] * x[:, None, :]).mean(0)
    close(found["weight"].numpy(), expected)


def test_an_untrained_teacher_leaves_the_generators_alone():
    given = context()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    teacher = untrained(given.task, seed=0)
    assert torch.equal(torch.rand(3), expected)
    assert isinstance(teacher.model, ToyModel)
    assert not teacher.model.weight.requires_grad


@pytest.mark.parametrize("seed", [0, 1])
def test_an_untrained_model_is_not_what_a_training_of_the_same_seed_starts_from(
    corpus, tiny_config, seed
):
    alphabet = alphabet_of(read_manifest(corpus / "manifest.jsonl"))
    start, processor = model_from_config(str(tiny_config), alphabet, seed)
    drawn = dict(untrained(task_for(start, processor), seed).model.named_parameters())
    matrices = {n: p for n, p in start.named_parameters() if p.dim() > 1 and n in drawn}
    assert len(matrices) > 10
    assert not any(torch.equal(drawn[name], p) for name, p in matrices.items())
