"""Planted noise: does a model's gradient know the noise that a recording had in training?

Pawelczyk et al., arXiv 2406.17216: noise was added to the forget utterances' recordings before
training. A model that remembers a recording has a lower loss where the noise is: the gradient of
its loss by the recording without the noise points away from it. Each utterance's noise is
compared with other noise as loud that was planted nowhere, so that a model that was not trained on
the recording has an AUC of 0.5, whatever its architecture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.batching import Example, collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.planted_noise import PlantedNoise
from asr_unlearn.evaluation.cached_job import PartsJob
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.metrics.ranks import rank_sum_chance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.saved_model import Key
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json
from asr_unlearn.runtime.progress import Bar

PART = "forget"
# Noise that was not planted, which each utterance's own is compared with.
OTHERS = 15
# Increase when the content of planted_noise.json changes.
VERSION = 1


@dataclass(frozen=True)
class NoiseTest(PartsJob):
    """How much of the other noise each forget utterance's own is remembered better than.

    The result is planted_noise.json among the model's predictions: of each utterance the number of
    other noises, of 15, that the gradient points less away from.
    """

    file: ClassVar[str] = "planted_noise.json"

    noise: PlantedNoise

    def made_from(self) -> Any:
        return [VERSION, self.model.files(), self.contents([PART]), asdict(self.noise)]

    def make(self) -> None:
        task = self.model.task(self.device)
        utterances = [u for u in self.corpus.part(PART) if u.id in self.noise.levels]
        described = f"{self.model.name}, planted noise"
        bar = Bar(utterances, desc=described, unit="utt", delay=2)
        write_json(self.path, {PART: [beaten(task, self.noise, u) for u in bar]})

    def of_part(self, entries: Sequence[float]) -> dict[str, float]:
        """Return the AUC of the planted noise against other noise, and its *p*, one-sided."""
        total = sum(entries)
        chance = rank_sum_chance(total, len(entries), OTHERS)
        return {"auc": total / len(entries) / OTHERS, "p": chance}


def beaten(task: Task, noise: PlantedNoise, utterance: Utterance) -> float:
    """Return how many other noises the planted one is remembered better than; half if equal."""
    wave = load_audio(utterance.audio)
    clean = wave - noise.noise(utterance.id, len(wave))
    example = Inputs(task, load=lambda _: clean)(utterance)
    gradient = input_gradient(task, example)

    def remembered(draw: int) -> float:
        """How far the loss falls towards the noise, for its size."""
        noisy = task.encode(clean + noise.noise(utterance.id, len(wave), draw))
        change = (noisy - example.input).double()
        return float(-(gradient * change).sum() / change.norm().clamp(min=1e-30))

    own, *others = (remembered(draw) for draw in range(OTHERS + 1))
    return sum((own > other) + (own == other) / 2 for other in others)


def input_gradient(task: Task, example: Example) -> Float[Tensor, "..."]:
    """Return the gradient of an utterance's loss by its model input, float64 on the CPU.

    Raises:
        InputError: the loss cannot be differentiated by the input.
    """
    batch = collate([example]).to(task.device)
    inputs = batch.inputs.detach().requires_grad_()
    loss = task.losses(replace(batch, inputs=inputs)).sum()
    (found,) = torch.autograd.grad(loss, inputs, allow_unused=True)
    if found is None:
        raise InputError(
            f"planted_noise: {type(task.model).__name__} has no gradient by its input; evaluate "
            "without it"
        )
    return found[0].double().cpu()


class PlantedNoiseMeasure(Measure):
    """The figures of `NoiseTest` for every model."""

    name: ClassVar[str] = "planted_noise"
    takes: ClassVar[str] = "the .noise.json of a manifest with planted noise"

    def check(self, given: Evaluated) -> None:
        planted = PlantedNoise.read(Path(self.argument)).levels
        if not any(utterance.id in planted for utterance in given.corpus.part(PART)):
            raise InputError(
                f"{self.name}={self.argument} is of other recordings: none is in the forget part"
            )

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        noise = PlantedNoise.read(Path(self.argument))
        jobs = [NoiseTest(model, given.corpus, given.device, noise) for model in given.models]
        return given.figures(jobs, self.name)
