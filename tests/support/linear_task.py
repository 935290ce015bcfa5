"""A linear model with a squared loss, whose gradients have a short formula."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from asr_unlearn.methods import METHODS, Step, TrainingContext

FORGET = torch.tensor([[1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 1.0, -1.0]])
RETAIN = torch.tensor([[1.0, 1.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
TARGET = 0.5


@dataclass
class LinearTask:
    """The attributes of a task that methods use."""

    model: nn.Module
    losses: Callable


class OneBatch(list):
    """A source that gives its only batch at every step."""

    steps_per_epoch = 1

    def __getitem__(self, step):
        return super().__getitem__(0)

    def pieces(self, step):
        return [self[step]]


SOURCES = {"forget": OneBatch([FORGET]), "retain": OneBatch([RETAIN])}


def linear_task():
    """ℓ(x) = (w·x − ½)², so g(x) = 2 (w·x − ½) x."""
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.3, -0.2, 0.5, 0.1]]))
    return LinearTask(model, lambda x: (model(x)[:, 0] - TARGET) ** 2)


def by_hand(x):
    """The gradient of each row of x, in NumPy."""
    w = linear_task().model.weight.detach().double().numpy()[0]
    x = x.double().numpy()
    return 2 * (x @ w - TARGET)[:, None] * x


def linear_context(task, total=4):
    return TrainingContext(task, SOURCES, steps_per_epoch=1, total=total, seed=0)


def linear_direction(name, **options):
    """The direction of a method's first step, as an array."""
    method, context = METHODS[name](**options), linear_context(linear_task())
    method.prepare(context)
    found = method.direction(Step(context, 0, lambda part: SOURCES[part][0]))
    assert set(found.gradient) == {"weight"}
    assert set(found.losses) == set(method.parts)
    return found.gradient["weight"][0].double().numpy()
