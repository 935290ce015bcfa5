"""A softmax classifier of vectors of four numbers, whose gradients have a short formula."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from asr_unlearn.data.batching import Batch, BatchSource, Example
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.methods import METHODS, Step, TrainingContext

CLASSES = 3


class ToyModel(nn.Linear):
    """Logits W x; the configuration is ignored."""

    dtype = torch.float64

    def __init__(self, config=None):
        super().__init__(4, CLASSES, bias=False)
        self.config = config


@dataclass
class Toy:
    """The attributes of a task that methods use."""

    model: nn.Module
    labels: dict

    device = torch.device("cpu")
    one_label = False

    def logits(self, batch):
        return self.model(batch.inputs)

    def losses(self, batch):
        return self.losses_from_logits(self.logits(batch), batch)

    def losses_from_logits(self, logits, batch):
        return nn.functional.cross_entropy(logits, batch.targets[:, 0], reduction="none")

    def distributions(self, batch):
        return self.distributions_from_logits(self.logits(batch), batch)

    def distributions_from_logits(self, logits, batch):
        logits = logits[:, None]
        return logits.log_softmax(-1), torch.ones(logits.shape[:2], dtype=torch.bool)

    def with_model(self, model):
        return Toy(model, self.labels)

    def layers(self):
        return [self.model]

    def target(self, utterance):
        return torch.tensor([self.labels[utterance.id]])

    def fits(self, target, samples):
        return samples >= 10 * int(target[0])


SAMPLES = {"f0": 40, "f1": 15, "r0": 40, "r1": 40, "r2": 40, "u0": 40, "u1": 40}
PARTS = {part: [n for n in SAMPLES if n[0] == part[0]] for part in ("forget", "retain", "unseen")}


def context(total=8, seed=0, batch_size=8, labels=None, **sizes):
    """A context whose parts are one batch each by default, in the order of their names."""
    generator = torch.Generator().manual_seed(0)
    labels = labels or {"f0": 0, "f1": 1, "r0": 0, "r1": 1, "r2": 2, "u0": 2, "u1": 0}
    model = ToyModel().double()
    with torch.no_grad():
        model.weight.copy_(torch.randn(CLASSES, 4, generator=generator) / 2)
    task = Toy(model, labels)
    vectors = {name: torch.randn(4, generator=generator).double() for name in SAMPLES}

    def example(utterance):
        name = utterance.id
        return Example(name, vectors[name], SAMPLES[name], task.target(utterance))

    sources = {}
    for part, names in PARTS.items():
        chosen = names[: sizes.get(part, len(names))]
        utterances = [
            Utterance(id=n, audio=f"{n}.wav", speaker=n, seconds=SAMPLES[n] / 16e3, text=n)
            for n in chosen
        ]
        sources[part] = BatchSource(utterances, example, batch_size=batch_size, seed=seed)
    return TrainingContext(task, sources, steps_per_epoch=2, total=total, seed=seed)


def step(context, number=0):
    return Step(context, number, lambda part: context.sources[part][0])


def gradients(context, batch: Batch, targets=None):
    """The rows (p − y) xᵀ [B, V, 4] and the losses [B] of a batch, in NumPy."""
    w = context.model.weight.detach().numpy()
    x = batch.inputs.numpy()
    y = (batch.targets[:, 0] if targets is None else targets).numpy()
    p = softmax(x @ w.T)
    rows = (p - np.eye(CLASSES)[y])[:, :, None] * x[:, None, :]
    return rows, -np.log(p[np.arange(len(y)), y])


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def mean_of(context, part):
    """The mean gradient and the mean loss of a part's first batch."""
    rows, losses = gradients(context, context.sources[part][0])
    return rows.mean(0), losses.mean()


def prepared(name, context, **options):
    """A method as it is before the first step."""
    method = METHODS[name](**options)
    method.freeze_parameters(context.task)
    method.prepare(context)
    return method


def direction(method, step):
    """The direction of the only parameter, as an array."""
    found = method.direction(step)
    assert set(found.gradient) == {"weight"}
    return found.gradient["weight"].numpy()


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
