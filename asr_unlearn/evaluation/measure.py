"""The interface of what an evaluation measures of its models where it is asked to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.jobs import Job, run_jobs
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.evaluation.results import ORIGINAL
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.runtime.errors import InputError

Entry = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """The models of an evaluation, and what they are evaluated on.

    Attributes:
        root: folder of results.json.
        rows: of each model, by its name and seed; empty before they are transcribed.
    """

    models: Sequence[SavedModel]
    corpus: Corpus
    root: Path
    budget: AttackBudget
    device: torch.device
    rows: Mapping[Key, Sequence[Row]] = field(default_factory=dict)

    def originals(self) -> dict[int, Sequence[Row]]:
        """Return the rows of the original of each seed that has one."""
        return {seed: own for (name, seed), own in self.rows.items() if name == ORIGINAL}

    def with_original(self) -> list[SavedModel]:
        """Return the models whose seed has an original."""
        seeds = {model.seed for model in self.models if model.name == ORIGINAL}
        return [model for model in self.models if model.seed in seeds]

    def run(self, jobs: Sequence[Job], name: str) -> None:
        """Run jobs where the budget says, with NAME.log."""
        run_jobs(jobs, self.budget.trainings(self.device), self.root / f"{name}.log", name)


class Measure(ABC):
    """Something measured of each model; `measures.MEASURES` lists them."""

    @abstractmethod
    def wanted(self, budget: AttackBudget) -> bool:
        """Whether it was asked for; else nothing more is called."""

    @abstractmethod
    def check(self, given: Evaluated) -> None:
        """Raise InputError, before any model is transcribed, where it cannot be made."""

    @abstractmethod
    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        """Return what each model's entry in results.json gets.

        Intervals are under "ci95", by the name of what they are of.
        """


def check_original(given: Evaluated, flag: str) -> None:
    """Raise InputError where a flag needs the original, and no model has that name."""
    if ORIGINAL not in {model.name for model in given.models}:
        raise InputError(f"{flag}: no model is called original; give its folder as --original")
