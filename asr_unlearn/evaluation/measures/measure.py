"""The interface of what an evaluation measures of its models where it is asked to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.evaluation.cached_job import PartsJob
from asr_unlearn.evaluation.jobs import Job, Workers, run_jobs
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.evaluation.results import ORIGINAL
from asr_unlearn.models.saved_model import Key, SavedModel

Entry = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """The models of an evaluation, and what they are evaluated on.

    Attributes:
        root: folder of results.json.
        workers: where jobs run.
        rows: of each model, by its name and seed; empty before they are transcribed.
        beams: of a decoder's search; 1 is greedy.
    """

    models: Sequence[SavedModel]
    corpus: Corpus
    root: Path
    workers: Workers
    device: torch.device
    rows: Mapping[Key, Sequence[Row]] = field(default_factory=dict)
    beams: int = 1

    def originals(self) -> dict[int, SavedModel]:
        """Return the original of each seed that has one."""
        return {model.seed: model for model in self.models if model.name == ORIGINAL}

    def with_original(self) -> list[SavedModel]:
        """Return the models whose seed has an original."""
        return [model for model in self.models if model.seed in self.originals()]

    def run(self, jobs: Sequence[Job], name: str) -> None:
        """Run jobs; what other processes print is in NAME.log."""
        runner = self.workers.trainings(self.device)
        run_jobs(jobs, runner, self.root / f"{name}.log", name)

    def figures(self, jobs: Sequence[PartsJob], name: str) -> dict[Key, Entry]:
        """Run jobs; returns the figures of each job's model under `name`."""
        self.run(jobs, name)
        return {job.model.key: {name: job.figures()} for job in jobs}


@dataclass(frozen=True)
class Measure(ABC):
    """Something measured of each model. A new one is one file with a subclass, in this package.

    What it keeps of each model is in NAME.json, NAME-*.json, NAME.npz or the folder NAME among the
    model's predictions, so that `purge` finds it.

    Attributes:
        argument: what was given for `takes`.
    """

    name: ClassVar[str]
    """By which it is asked for, and its key in results.json."""
    takes: ClassVar[str] = ""
    """What it is given as NAME=ARGUMENT; empty if nothing."""
    needs_original: ClassVar[bool] = False
    """Whether it compares with the original."""

    argument: str = ""

    def check(self, given: Evaluated) -> None:  # noqa: B027 - a hook
        """Raise InputError, before any model is transcribed, where it cannot be made."""

    @abstractmethod
    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        """Return what each model's entry in results.json gets.

        Intervals are under "ci95", by the name of what they are of.
        """
