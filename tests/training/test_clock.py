"""The clock counts what goes through a model, whatever the method."""

import json

import pytest
import torch
from transformers import WhisperConfig, WhisperForAudioClassification
from transformers.modeling_outputs import BaseModelOutput

from asr_unlearn.training.clock import Clock, Cost
from tests.support.rates import rate
from tests.support.tiny_model import tiny_whisper_options
from tests.support.tiny_training import tiny_training
from tests.support.whisper_task import batches, build


def test_a_forward_pass_counts_once_and_a_backward_pass_twice():
    whole = Cost(1.0, forward=5, backward=3, generated=2)
    assert whole.passes == 5 + 2 * 3 + 2
    assert whole.scaled(0.4) == Cost(1.0, forward=2, backward=1, generated=1)
    assert Cost(1.0, 5, 3, 2) + Cost(0.5, 1, 1, 1) == Cost(1.5, 6, 4, 3)


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [
        # Forget batches of 4 alone; with retain batches of 8 beside them; and each retain
        # utterance once more for the original's outputs.
        ("gradient_ascent", 4, 4),
        ("neggrad_plus", 4 + 8, 4 + 8),
        ("orthograd", 4 + 8, 4 + 8),
        ("orthograd_tau", 4 + 2 * 8, 4 + 8),
    ],
)
def test_passes_of_a_step(name, forward, backward, corpus, tiny_config, tmp_path):
    options = {"epochs": 1, "forget_batch": 4, "retain_batch": 8} | rate(name, 1e-4)
    run = tiny_training(corpus, tiny_config, tmp_path, name, **options)
    sizes = {part: [len(run.sources[part][i]) for i in range(run.total)] for part in run.sources}
    outcome = run()
    forget, retain = sum(sizes["forget"]), sum(sizes.get("retain", [0]))
    cost = outcome.costs["steps"]
    assert cost.forward == forget + (forward - 4) // 8 * retain
    assert cost.backward == forget + (backward - 4) // 8 * retain
    assert cost.generated == 0
    assert outcome.seconds == pytest.approx(sum(c.seconds for c in outcome.costs.values()), abs=0.1)
    rows = [json.loads(row) for row in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["seconds"] <= outcome.seconds + 0.01


def test_generated_transcripts_are_counted_once(tmp_path):
    clock, task = Clock(), build(tmp_path)
    batch, _ = batches(task)
    with clock.phase("checks"), clock.counting(task.model), torch.no_grad():
        task.score(batch)
        task.losses(batch)
    cost = clock.costs["checks"]
    assert (cost.forward, cost.backward, cost.generated) == (2 * len(batch), 0, len(batch))
    with clock.counting(task.model):
        task.losses(batch)
    assert clock.total == cost


def test_a_classifier_writes_no_transcripts():
    """Of a frozen encoder it is given the states that a decoder is given while it writes."""
    options = tiny_whisper_options() | {"num_labels": 3}
    model, clock = WhisperForAudioClassification(WhisperConfig(**options)), Clock()
    states = torch.zeros(2, model.config.max_source_positions, model.config.d_model)
    with clock.phase("steps"), clock.counting(model):
        model(encoder_outputs=BaseModelOutput(states)).logits.sum().backward()
    cost = clock.costs["steps"]
    assert (cost.forward, cost.backward, cost.generated) == (2, 2, 0)


def test_the_state_is_restored():
    clock = Clock()
    clock.costs["steps"] = Cost(1.5, 3, 2, 1)
    other = Clock()
    other.load_state_dict(json.loads(json.dumps(clock.state_dict())))
    assert other.costs == clock.costs
