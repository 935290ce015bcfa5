"""A smoothed teacher's attention is the original's at a higher temperature."""

import pytest
import torch
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from asr_unlearn.methods import METHODS, TrainingContext
from asr_unlearn.methods.attention_smoothing import smoothed_copy
from asr_unlearn.models.adapters import Lora, add_adapters
from asr_unlearn.models.processors import character_processor
from asr_unlearn.models.tasks import CTC
from tests.support.toy_task import context, step


@pytest.fixture
def recogniser(tiny_config):
    processor = character_processor("AB", attention_mask=True)
    config = Wav2Vec2Config.from_pretrained(tiny_config, vocab_size=len(processor.tokenizer))
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    return CTC(Wav2Vec2ForCTC(config).eval(), processor)


def first_attention(task, wave):
    with torch.no_grad():
        return task.model(wave, output_attentions=True).attentions[0]


def test_attention_is_raised_to_a_temperature(recogniser):
    teacher = smoothed_copy(recogniser, 3.0)
    wave = torch.randn(1, 8000)
    sharp, smooth = first_attention(recogniser, wave), first_attention(teacher, wave)
    torch.testing.assert_close(smooth, (sharp.log() / 3).softmax(-1))
    assert (sharp - smooth).abs().max() > 1e-5
    assert not any(p.requires_grad for p in teacher.model.parameters())


def test_adapters_are_smoothed_with_what_they_change(recogniser):
    """As the model that they make when they are merged."""
    add_adapters(recogniser.model, Lora(r=2))
    with torch.no_grad():
        for name, parameter in recogniser.model.named_parameters():
            if "lora_" in name:
                parameter.normal_()
    wave = torch.randn(1, 8000)
    sharp = first_attention(recogniser, wave)
    smooth = first_attention(smoothed_copy(recogniser, 3.0), wave)
    torch.testing.assert_close(smooth, (sharp.log() / 3).softmax(-1))
    assert any("lora_" in name for name, _ in recogniser.model.named_parameters())


def test_a_model_without_attention_is_refused():
    given = context()
    with pytest.raises(ValueError, match="ToyModel has no attention to smooth"):
        smoothed_copy(given.task, 2.0)


class Attentive(nn.Module):
    """Logits W (q x), of which q_proj is smoothed."""

    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(4, 4, bias=False)
        self.out = nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.out(self.q_proj(x))


def test_the_direction_leads_to_the_teacher_and_down_on_the_retain_set():
    given = context()
    task = given.task.with_model(Attentive().double())
    given = TrainingContext(task, given.sources, steps_per_epoch=2, total=8, seed=0)
    method = METHODS["attention_smoothing"](alpha=0.25, smoothing=2.0)
    method.prepare(given)
    found = method.direction(step(given)).gradient["out.weight"]
    weights = task.model.out.weight.detach().clone().requires_grad_()
    hidden = {p: task.model.q_proj(given.sources[p][0].inputs).detach() for p in given.sources}
    target = (hidden["forget"] / 2 @ weights.detach().T).softmax(-1)
    away = nn.functional.kl_div(
        (hidden["forget"] @ weights.T).log_softmax(-1), target, reduction="batchmean"
    )
    labels = given.sources["retain"][0].targets[:, 0]
    down = nn.functional.cross_entropy(hidden["retain"] @ weights.T, labels)
    (expected,) = torch.autograd.grad(0.25 * down + 0.75 * away, weights)
    torch.testing.assert_close(found, expected)
