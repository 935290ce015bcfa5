"""Rows of the Jacobian against autograd, one utterance and one parameter at a time."""

import warnings

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from asr_unlearn.gradients import (
    diagonal_fisher,
    pool_step,
    stacked_step,
    streaming_step,
)
from asr_unlearn.gradients.backward import NUMBERS_KEPT
from asr_unlearn.gradients.jacobian import Jacobian
from tests.support.gradient_checks import assert_same_rows, reference_rows, streamed_rows
from tests.support.gradient_problems import (
    FAST,
    RECOGNISERS,
    SLOW,
    USES,
    Coupled,
    Hidden,
    NoRule,
    TimeMajor,
    Uses,
    ctc_problem,
    module_problem,
    recogniser,
    wave_model,
    with_dora,
)

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
DTYPES = list(TOLERANCE)


@pytest.mark.parametrize("kept", [0, NUMBERS_KEPT])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RECOGNISERS)
def test_every_recogniser_as_factors_and_as_rows(name, dtype, kept, monkeypatch):
    monkeypatch.setattr("asr_unlearn.gradients.backward.NUMBERS_KEPT", kept)
    problem = recogniser(name, dtype)
    batch = problem.batch(1, 4)
    expected = reference_rows(problem, batch)
    assert_same_rows(problem, expected, streamed_rows(problem, batch), TOLERANCE[dtype])


@pytest.mark.parametrize("module", FAST)
def test_unusual_modules_without_a_slow_path(module):
    problem = module_problem(module, torch.float64)
    batch = problem.batch(1, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = streamed_rows(problem, batch)
    assert_same_rows(problem, reference_rows(problem, batch), found, 1e-9)


@pytest.mark.parametrize("module", SLOW)
def test_operations_without_a_rule_are_exact_and_warned_of_once(module):
    problem = module_problem(module, torch.float64)
    batch = problem.batch(1, 5)
    with pytest.warns(UserWarning, match="one pass for each utterance") as said:
        found = streamed_rows(problem, batch)
    slow = {
        TimeMajor: "2.layer.norm1.weight",
        NoRule: "2.weight",
        Coupled: "0.bias",
        Hidden: "2.scale",
    }
    assert slow[module] in str(said[0].message)
    expected = reference_rows(problem, batch)
    assert_same_rows(problem, expected, found, 1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = streamed_rows(problem, batch)
    assert_same_rows(problem, expected, again, 1e-9)


@pytest.mark.filterwarnings("ignore:no rule gives the per-utterance gradients")
@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.parametrize("use", USES)
def test_every_shape_and_use_that_autograd_takes(use, size):
    problem = module_problem(lambda: Uses(*USES[use]), torch.float64)
    batch, forget = problem.batch(1, size), problem.batch(2, 3)
    expected = reference_rows(problem, batch)
    assert "2.value" in expected
    assert_same_rows(problem, expected, streamed_rows(problem, batch), 1e-9)
    exact, found = (
        engine(problem.model, problem.losses, forget, batch, scope="tensor")
        for engine in (stacked_step, streaming_step)
    )
    for part in ("forget", "orthogonal", "retain"):
        assert set(getattr(found, part)) == set(expected)
        for name, value in getattr(exact, part).items():
            torch.testing.assert_close(getattr(found, part)[name], value, rtol=1e-6, atol=1e-9)
    fisher = diagonal_fisher(problem.model, problem.losses, [batch])
    for name, rows in expected.items():
        torch.testing.assert_close(fisher[name], rows.square().mean(0))
    pool_step(problem.model, problem.losses, forget, [batch], max_iterations=1)


def test_weights_derived_from_the_adapted_ones():
    problem = ctc_problem(with_dora(wave_model(Wav2Vec2ForCTC, Wav2Vec2Config)), torch.float64)
    batch = problem.batch(1, 3)
    assert_same_rows(problem, reference_rows(problem, batch), streamed_rows(problem, batch), 1e-9)


def test_a_batch_is_its_utterances_alone():
    """Under layer norm and an attention mask padding does not reach the gradients."""
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    batch = problem.batch(1, 4)
    together = streamed_rows(problem, batch)
    for i in range(4):
        alone = batch.take([i])
        trimmed = type(alone)(alone.inputs[:, : alone.lengths[0]], *list(vars(alone).values())[1:])
        for name, rows in streamed_rows(problem, trimmed).items():
            torch.testing.assert_close(rows[0], together[name][i], rtol=1e-7, atol=1e-12)


def test_several_batches_are_one():
    problem = recogniser("whisper", torch.float64)
    batch = problem.batch(1, 5)
    found = streamed_rows(problem, batch.take([0, 1]), batch.take([2, 3, 4]))
    assert_same_rows(problem, reference_rows(problem, batch), found, 1e-9)


@pytest.mark.parametrize("missing", ["masked_spec_embed", "lm_head.bias", "pos_conv_embed"])
def test_the_comparison_sees_a_missing_parameter(missing):
    problem = recogniser("wav2vec2, group norm", torch.float64)
    batch = problem.batch(1, 2)
    expected, found = reference_rows(problem, batch), streamed_rows(problem, batch)
    name = next(name for name in found if missing in name)
    del found[name]
    with pytest.raises(AssertionError):
        assert_same_rows(problem, expected, found, 1.0)


def test_unused_parameters_have_zero_rows():
    problem = recogniser("wavlm", torch.float64)
    rows = streamed_rows(problem, problem.batch(1, 2))
    assert not rows["wavlm.masked_spec_embed"].any()


def test_rows_in_small_ranges(monkeypatch):
    monkeypatch.setattr("asr_unlearn.gradients.jacobian.NUMBERS_AT_ONCE", 64)
    problem = recogniser("whisper", torch.float64)
    batch = problem.batch(1, 4)
    assert_same_rows(problem, reference_rows(problem, batch), streamed_rows(problem, batch), 1e-9)


def test_an_input_overwritten_after_use_is_refused():
    model = torch.nn.Linear(3, 3)
    alone = torch.nn.Linear(3, 3)

    def losses(batch):
        x = alone(batch)
        y = model(x)
        x.mul_(2)
        return y.sum(1) + x.sum(1)

    both = torch.nn.ModuleList([model, alone])
    with pytest.raises(RuntimeError, match="modified"):
        Jacobian(both, losses, [torch.randn(2, 3)])


def test_nothing_is_left_behind():
    problem = recogniser("wav2vec2, group norm", torch.float32)
    before = {name: value.clone() for name, value in problem.model.state_dict().items()}
    streamed_rows(problem, problem.batch(1, 3))
    assert all(p.grad is None for p in problem.model.parameters())
    for name, value in problem.model.state_dict().items():
        assert torch.equal(value, before[name])
