"""The base class: its options, the sum of a loss's terms, and what each method declares."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from asr_unlearn.methods import METHODS, Method, Penalty, Step, Term
from asr_unlearn.methods.option_types import (
    NonNegativeInt,
    Range,
    Rate,
    Share,
    ShareBelowOne,
    ranges,
)
from tests.support.toy_task import close, context, gradients, mean_of, step

ALL = {
    "attention_smoothing", "bad_teacher", "cf_k", "finetune", "gradient_ascent", "l1_sparse",
    "msa", "nabla_tau", "neggrad_plus", "npo", "orthograd", "orthograd_tau", "random_label", "rmu",
    "salun", "scrub", "selective_amnesia", "sfr_on", "simnpo", "ssd", "undo",
}  # fmt: skip


@dataclass(kw_only=True)
class Own(Method):
    """A method of a user, with options of several ranges."""

    name: ClassVar[str] = "own"
    paper: ClassVar[str] = "none"
    needs: ClassVar = ("forget", "retain")

    lr: float = 0.5
    share: Share = 0.5
    below: ShareBelowOne = 0.5
    count: NonNegativeInt = 0
    free: float = -1.0

    def loss(self, step):
        retain = torch.tensor([0.5, 0.0, 2.0])
        return [
            Term("forget", -2.0),
            Term("retain", 0.5, weights=retain, logged=False),
            Term("retain", 3.0, losses=lambda batch: step.context.task.losses(batch) ** 2),
            Penalty(lambda name, weight: weight * len(name)),
        ]


def test_options_are_checked():
    with pytest.raises(ValueError, match="gradient_ascent: lr must be above 0"):
        METHODS["gradient_ascent"](lr=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "own: lr must be above 0, or auto, not 0.0"),
        ({"lr": math.inf}, "own: lr must be finite, not inf"),
        ({"lr": math.nan}, "own: lr must be above 0, or auto, not nan"),
        ({"warmup": 2}, "own: warmup must be from 0 to 1, not 2"),
        ({"clip": -1}, "own: clip must be 0 or more, not -1"),
        ({"share": 1.5}, "own: share must be from 0 to 1, not 1.5"),
        ({"below": 1.0}, "own: below must be from 0 to below 1, not 1.0"),
        ({"count": -1}, "own: count must be 0 or more, not -1"),
    ],
)
def test_an_option_outside_its_range_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Own(**options)


def test_the_ends_of_a_range_are_allowed_where_they_are_closed():
    Own(lr=1e-12, warmup=1, clip=0, share=0.0, below=0.0, count=0, free=-math.inf)


def test_a_default_without_a_range_keeps_the_range_of_the_base():
    assert ranges(Own)["lr"] == Rate.__metadata__[0] == Range(open_low=True, word="auto")
    assert "free" not in ranges(Own)


def test_ranges_in_words():
    words = ["above 0", "0 or more", "from 0 to 1", "from 0 to below 1", "above 1 to 2.5"]
    words.append("above 0, or auto")
    found = [
        Range(open_low=True),
        Range(),
        Range(high=1),
        Range(high=1, open_high=True),
        Range(1, 2.5, open_low=True),
        Range(open_low=True, word="auto"),
    ]
    assert list(map(str, found)) == words


def test_a_method_without_a_rule_is_refused():
    class Empty(Own):
        loss = Method.loss

    with pytest.raises(TypeError, match="own defines neither `loss` nor `direction`"):
        Empty()


def test_the_direction_is_the_sum_of_the_terms():
    given = context()
    found = Own().direction(step(given))
    up, _ = mean_of(given, "forget")
    rows, losses = gradients(given, given.sources["retain"][0])
    weighted = 0.5 * rows[0] + 2.0 * rows[2]
    squared = (2 * losses[:, None, None] * rows).mean(0)
    weight = given.model.weight.detach().numpy()
    expected = -2 * up + 0.5 * weighted + 3 * squared + len("weight") * weight
    close(found.gradient["weight"].numpy(), expected)
    assert list(found.losses) == ["forget", "retain"]
    close(found.losses["retain"].numpy(), losses**2)


def test_a_batch_is_drawn_once_a_step():
    given, drawn = context(), []

    def draw(part):
        drawn.append(part)
        return given.sources[part][0]

    Own().direction(Step(given, 0, draw))
    assert drawn == ["forget", "retain"]


def test_every_method_says_where_it_comes_from_and_what_it_needs():
    assert set(METHODS) == ALL
    for name, method in METHODS.items():
        assert method.name == name
        assert method.paper
        assert set(method.needs) <= {"forget", "retain", "unseen"}
        assert method.epoch_part in method.needs
        assert method.__doc__


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_written_out_in_a_file_of_its_own(name):
    text = (Path(__file__).parent / f"test_{name}.py").read_text(encoding="utf-8")
    assert f'"{name}"' in text
