"""Does quantising or pruning a model bring back what it forgot?

A method that changes the weights by less than the step of a quantised model is undone by rounding
(Zhang et al., arXiv 2410.16454; Khan & Sohel, arXiv 2605.02196). Each model is evaluated with its
weights rounded, or the smallest set to zero, and computes in its own precision: what an int8 kernel
does to the activations is not part of it. The losses need no transcripts to be generated, so there
are no error rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize

from asr_unlearn.data.manifest import content
from asr_unlearn.evaluation.cached_job import ModelJob
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.metrics.recovery import brought_back
from asr_unlearn.metrics.rounding import GROUP, PRECISIONS, PRUNED, Precision, rounded
from asr_unlearn.models.adapters import merge_adapters
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import measure_losses, with_known_labels
from asr_unlearn.models.saved_model import Key
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

PARTS = ("forget", "unseen")
ROUNDED = (nn.Linear, nn.Conv1d, nn.Conv2d)
# Increase when the content of quantisation.json changes.
VERSION = 2


class Recovered(NamedTuple):
    """Figures of a model with its weights rounded, and their 95% intervals."""

    figures: dict[str, float]
    intervals: dict[str, list[float]]


def round_weights(model: nn.Module, precision: Precision) -> int:
    """Round the weights of linear layers and convolutions in place; returns how many weights.

    Biases, norms and embeddings stay, and so does an output layer that shares its weight with an
    embedding. A weight that is computed from others, as by weight norm, becomes one of its own.

    Raises:
        InputError: the weight of a layer is no parameter, so that it cannot be replaced.
    """
    embedded = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    done: set[int] = set()
    count = 0
    for name, module in model.named_modules():
        if not isinstance(module, ROUNDED):
            continue
        if parametrize.is_parametrized(module, "weight"):
            # Of what is not trained, no parameter would be left.
            module.requires_grad_(True)
            parametrize.remove_parametrizations(module, "weight")
        weight: Any = module.weight
        if not isinstance(weight, nn.Parameter):
            raise InputError(
                f"{type(model).__name__}: the weight of {name} is computed from others and cannot "
                "be rounded; evaluate without quantisation"
            )
        if id(weight) in embedded | done:
            continue
        done.add(id(weight))
        count += weight.numel()
        with torch.no_grad():
            weight.copy_(rounded(weight, precision))
    return count


@dataclass(frozen=True)
class Quantisation(ModelJob):
    """The losses of one model on forget and unseen utterances, with its weights rounded.

    The result is quantisation.json among the model's predictions.
    """

    file: ClassVar[str] = "quantisation.json"

    def made_from(self) -> Any:
        settings = [VERSION, GROUP, PRUNED, PRECISIONS]
        return [settings, self.model.files(), content(self.corpus.part(*PARTS))]

    def make(self) -> None:
        found: dict[str, dict[str, float]] = {}
        count = 0
        for precision in PRECISIONS:
            task = self.model.task(self.device)
            merge_adapters(task.model)
            count = round_weights(task.model, precision)
            losses = measure_losses(
                task,
                # Features of the unrounded front end may be in the cache on disk.
                Inputs(task),
                with_known_labels(task, self.corpus.part(*PARTS)),
                description=f"{self.model.name}, {precision}",
            )
            found[precision] = {one.utterance.id: one.loss for one in losses}
        write_json(self.path, {"rounded_parameters": count, "losses": found})

    def found(self, rows: Sequence[Row], original: Sequence[Row]) -> Recovered:
        """Return mean losses by precision, and the share of what was forgotten that is back.

        Args:
            rows, original: rows of this model and of the original, with weights as they were saved.
        """
        made = self.result()
        figures: dict[str, float] = {"rounded_parameters": made["rounded_parameters"]}
        intervals: dict[str, list[float]] = {}
        for precision, losses in made["losses"].items():
            for part in PARTS:
                if own := [losses[row["id"]] for row in rows if row["part"] == part]:
                    figures[f"{precision}_{part}_loss"] = sum(own) / len(own)
            key = f"{precision}_brought_back"
            if (share := _brought_back(losses, rows, original)) is not None:
                figures[key] = share[0]
                if share[1] is not None:
                    intervals[key] = list(share[1])
        return Recovered(figures, intervals)


def _brought_back(
    losses: Mapping[str, float], rows: Sequence[Row], original: Sequence[Row]
) -> tuple[float, tuple[float, float] | None] | None:
    before = {row["id"]: row["loss"] for row in original}
    forget = [row for row in rows if row["part"] == "forget" and row["id"] in before]
    return brought_back(
        [losses[row["id"]] for row in forget],
        [row["loss"] for row in forget],
        [before[row["id"]] for row in forget],
        [row["speaker"] for row in forget],
    )


class QuantisationMeasure(Measure):
    """The figures of `Quantisation` for every model whose seed has an original."""

    name: ClassVar[str] = "quantisation"
    needs_original: ClassVar[bool] = True

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        originals = given.originals()
        jobs = [Quantisation(model, given.corpus, given.device) for model in given.with_original()]
        given.run(jobs, self.name)
        found = {}
        for job in jobs:
            key = job.model.key
            original = given.rows[originals[job.model.seed].key]
            figures, intervals = job.found(given.rows[key], original)
            found[key] = {self.name: figures, "ci95": {self.name: intervals}}
        return found
