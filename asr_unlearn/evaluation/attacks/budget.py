"""How much an evaluation trains."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from joblib import cpu_count

from asr_unlearn.runtime.errors import InputError


@dataclass(frozen=True)
class AttackBudget:
    """What is trained, beyond looking at the models as they were saved.

    Attributes:
        informed: models that an attacker unlearns of other speakers, for each unlearned model.
        shadows: models trained as the original was, with and without each speaker.
        relearn: whether to count the steps until a model knows the forget speakers again.
        workers: trainings side by side; 0 for as many as there are cores, or one on a GPU.

    Raises:
        ValueError: one is negative, or the number of shadows odd.
    """

    informed: int = 0
    shadows: int = 0
    relearn: bool = False
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("informed", "shadows", "workers"):
            if (count := getattr(self, name)) < 0:
                raise InputError(f"--{name} {count}: give 0 or more")
        if self.shadows % 2:
            raise InputError(
                f"--shadows {self.shadows}: give an even number, so that all speakers are in half"
            )

    def check(self, names: Collection[str]) -> None:
        """Raises ValueError for attacks that go by the original, if no model is called that."""
        for flag, asked in (("--shadows", self.shadows), ("--relearn", self.relearn)):
            if asked and "original" not in names:
                raise InputError(
                    f"{flag}: no model is called original; give its folder as --original"
                )

    def side_by_side(self, device: torch.device) -> int:
        """How many trainings are to run at once."""
        if self.workers:
            return self.workers
        return 1 if device.type == "cuda" else cpu_count()
