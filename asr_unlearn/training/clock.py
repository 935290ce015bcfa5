"""Where the time and the utterance passes of a run go."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from torch import nn
from transformers import PreTrainedModel

from asr_unlearn.runtime.distributed import gathered

Phase = Literal["preparation", "steps", "checks", "interpolation"]
"""Preparation measures the target and what a method needs of the original; checks are those of
early stopping and of the retain set."""


@dataclass
class Cost:
    """Seconds, and utterances that went through a model.

    The counts do not depend on the machine.

    Attributes:
        forward: utterances in forward passes; a transcript's decoder inputs are given.
        backward: utterances in backward passes.
        generated: utterances whose transcript a decoder generated token by token.
    """

    seconds: float = 0.0
    forward: int = 0
    backward: int = 0
    generated: int = 0

    @property
    def passes(self) -> int:
        """Utterance passes: a forward pass counts 1, a backward pass 2, a transcript 1."""
        return self.forward + 2 * self.backward + self.generated

    def scaled(self, share: float) -> "Cost":
        """Return the cost with passes of a model of that share of another one's size."""
        counts = (self.forward, self.backward, self.generated)
        return Cost(self.seconds, *(round(share * count) for count in counts))

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Cost)))


class Clock:
    """Counts the cost of each phase of a run."""

    def __init__(self) -> None:
        self.costs: dict[Phase, Cost] = {}
        self._open: list[Cost] = []
        self._decoded: Any = None

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Count the block to a phase, which must not be within another."""
        cost = self.costs.setdefault(name, Cost())
        self._open.append(cost)
        began = time.monotonic()
        try:
            yield
        finally:
            cost.seconds += time.monotonic() - began
            self._open.pop()
            self._decoded = None

    @property
    def total(self) -> Cost:
        return sum(self.costs.values(), Cost())

    @contextmanager
    def counting(self, model: PreTrainedModel) -> Iterator[None]:
        """Count the passes through a model, and through copies of it that are made meanwhile."""

        writes_tokens = model.can_generate()

        def count(module: nn.Module, args: Any, given: Mapping[str, Any], output: Any) -> None:
            if not self._open:
                return
            cost, logits = self._open[-1], output.logits
            size = len(logits)
            encoded = given.get("encoder_outputs") is not None
            if writes_tokens and encoded and given.get("use_cache") is not False:
                # A token of transcripts, which are counted at their first.
                states = given["encoder_outputs"][0]
                cost.generated += size if states is not self._decoded else 0
                self._decoded = states
                return
            cost.forward += size
            if logits.requires_grad:
                logits.register_hook(backward)

        def backward(gradient: Any) -> None:
            if self._open:
                self._open[-1].backward += len(gradient)

        handle = model.register_forward_hook(count, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def gathered(self) -> dict[Phase, Cost]:
        """The cost of each phase: this process's seconds, rounded, and the passes of all."""
        everyones = gathered([self.costs])
        found = {}
        for name, own in self.costs.items():
            total = sum((costs[name] for costs in everyones), Cost())
            found[name] = replace(total, seconds=round(own.seconds, 2))
        return found

    def state_dict(self) -> dict[str, Any]:
        return {name: asdict(cost) for name, cost in self.costs.items()}

    def load_state_dict(self, state: Mapping[Phase, Mapping[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        self.costs = {name: Cost(**cost) for name, cost in state.items()}
