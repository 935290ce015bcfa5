"""Losses of a model on the attacked recordings, slightly changed, for the attack by neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torchaudio.functional import speed

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.noise import white_noise
from asr_unlearn.evaluation.cached_job import ModelJob
from asr_unlearn.evaluation.jobs import Workers, run_jobs
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import measure_losses, with_known_labels
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime.io import write_json

PARTS = ("forget", "forget_heldout", "unseen")
# White noise so many dB below the recording, a gain, a speed; none changes the words.
NOISES, GAIN, SPEED = (20.0, 30.0), 0.5, 1.05
CHANGES = (*(f"noise {level:g} dB" for level in NOISES), f"gain {GAIN:g}", f"speed {SPEED:g}")
# Increase when the content of neighbours.json changes.
VERSION = 1

Wave = Float[np.ndarray, " samples"]


def changed(wave: Wave, change: str, seed: str) -> Wave:
    """The wave with one of `CHANGES`; noise is drawn from the seed."""
    kind, amount = change.split()[:2]
    if kind == "gain":
        quieter: Wave = wave * np.float32(amount)
        return quieter
    if kind == "speed":
        faster: Tensor = speed(torch.from_numpy(wave), SAMPLE_RATE, float(amount))[0]
        return faster.numpy()
    noise = white_noise(f"{seed} {change}", len(wave))
    level = np.sqrt(np.mean(wave**2)) * 10 ** (-float(amount) / 20)
    noisy: Wave = wave + noise * np.float32(level)
    return noisy


@dataclass(frozen=True)
class Neighbours(ModelJob):
    """The losses of one model on each of `CHANGES` of every attacked utterance.

    The result is neighbours.json among the model's predictions.
    """

    file: ClassVar[str] = "neighbours.json"

    def made_from(self) -> Any:
        return [VERSION, CHANGES, self.model.files(), content(self.corpus.part(*PARTS))]

    def make(self) -> None:
        task = self.model.task(self.device)
        utterances = with_known_labels(task, self.corpus.part(*PARTS))
        found: dict[str, list[float]] = {u.id: [] for u in utterances}
        for change in CHANGES:
            inputs = Inputs(task, load=partial(_neighbour, task, change))
            described = f"{self.model.name}, {change}"
            for one in measure_losses(task, inputs, utterances, description=described):
                found[one.utterance.id].append(one.loss)
        write_json(self.path, found)

    def found(self) -> dict[str, list[float]]:
        """Return the losses of each utterance's neighbours, by its id."""
        losses: dict[str, list[float]] = self.result()
        return losses


def _neighbour(task: Task, change: str, utterance: Utterance) -> Wave:
    wave = load_audio(utterance.audio)
    other = changed(wave, change, utterance.id)
    # Faster, it may be too short for its transcript by CTC: then it is its own neighbour.
    return other if task.fits(task.target(utterance), len(other)) else wave


def neighbours(
    models: Sequence[SavedModel],
    corpus: Corpus,
    root: Path,
    workers: Workers,
    *,
    device: torch.device,
) -> Mapping[Key, Mapping[str, Sequence[float]]]:
    """Return the losses of every model near the attacked utterances, by id."""
    jobs = [Neighbours(model, corpus, device) for model in models]
    run_jobs(jobs, workers.trainings(device), root / "neighbours.log", "neighbours")
    return {job.model.key: job.found() for job in jobs}
