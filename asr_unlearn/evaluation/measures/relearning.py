"""How many steps of fine-tuning until a model has relearned the forget speakers?

Speech that was only suppressed comes back within a few steps; speech that was never learned has to
be learned (Hu et al., arXiv 2406.13356). The model is fine-tuned on one utterance of each forget
speaker, whole or by low-rank adapters alone, and on the retain set alone. Compare with the
retrained model's figures.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.cached_job import ModelJob
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.models.adapters import (
    Lora,
    add_adapters,
    has_adapters,
    merge_adapters,
)
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json
from asr_unlearn.training.preparation import Preparation
from asr_unlearn.training.stop_rule import Relearned
from asr_unlearn.training.trainer import Training

logger = logging.getLogger(__name__)

# Steps at most, and between two measurements.
LIMIT, EVERY = 100, 4
# Relearned: within this share of the way from the original's loss on the forget speakers to its
# loss on unseen speakers.
TOLERANCE = 0.1
# The learning rate is at most HIGHEST, and UNKNOWN for an original that does not say its own.
HIGHEST, UNKNOWN = 3e-4, 3e-5
# Adapters begin at zero, and take a rate so many times as high.
LORA, LORA_FACTOR = Lora(r=8), 10.0
ADAPTERS, CHECKED = "adapters", "check_forget_loss"
# Increase when the content of relearning.json changes.
VERSION = 5


def relearned_target(rows: Sequence[Row]) -> MeanScore:
    """Return the mean forget loss at which the speakers are relearned, from the original's rows.

    Without unseen speakers there is no tolerance. The CER is 0, as it is not measured.
    """
    losses = {
        part: [row["loss"] for row in rows if row["part"] == part] for part in ("forget", "unseen")
    }
    own = float(np.mean(losses["forget"]))
    unseen = float(np.mean(losses["unseen"] or losses["forget"]))
    return MeanScore(loss=own + TOLERANCE * max(0.0, unseen - own), cer=None)


def relearning_rate(original: SavedModel) -> float:
    """Return the learning rate to relearn with: the highest that the original was trained with.

    A pretrained model would be ruined by a rate at which a small one of random weights learns:
    nothing would be relearned, and it would look forgotten for good.
    """
    rate = original.run().get("options", {}).get("lr")
    return min(HIGHEST, rate) if isinstance(rate, int | float) else UNKNOWN


@dataclass(frozen=True)
class Relearning(ModelJob):
    """Fine-tuning of one model in each of three ways, until its mean forget loss is `target`'s.

    The result is relearning.json among the model's predictions.
    """

    file: ClassVar[str] = "relearning.json"

    target: MeanScore
    rate: float

    def sets(self) -> dict[str, list[Utterance]]:
        """Return what each way fine-tunes on."""
        one = one_utterance_a_speaker(self.corpus)
        sets = {"one_utterance": one, "retain": self.corpus.part("retain"), ADAPTERS: one}
        return {name: utterances for name, utterances in sets.items() if utterances}

    def made_from(self) -> Any:
        trained_on = {name: content(utterances) for name, utterances in self.sets().items()}
        checked = content(self.corpus.part("forget"))
        settings = [VERSION, LIMIT, EVERY, self.rate, asdict(LORA), LORA_FACTOR, self.target.loss]
        return [self.model.files(), trained_on, checked, settings]

    def make(self) -> None:
        found: dict[str, float] = {"limit": LIMIT, "rate": self.rate}
        for name, utterances in self.sets().items():
            try:
                steps, loss = self._steps(utterances, name)
            except InputError as error:
                if name != ADAPTERS:
                    raise
                logger.warning("%s: not relearned by adapters: %s", self.model.name, error)
                continue
            found[f"{name}_loss"] = loss
            if steps is not None:
                found[f"{name}_steps"] = steps
        write_json(self.path, found)

    def found(self) -> dict[str, float]:
        """Return the steps of each way, absent beyond `limit`, and the lowest forget loss."""
        found: dict[str, float] = self.result()
        return found

    def _steps(self, utterances: Sequence[Utterance], name: str) -> tuple[int | None, float]:
        """Steps until the speakers are relearned, None beyond the limit; and the lowest loss.

        Of the forget set, at any check: on a few utterances a model soon overfits.
        """
        task = self.model.task(self.device)
        # An attacker changes whatever weights help.
        if has_adapters(task.model):
            merge_adapters(task.model)
            task.model.requires_grad_(True)
        if name == ADAPTERS:
            torch.manual_seed(self.corpus.split.seed)
            add_adapters(task.model, LORA)
        task.freeze_front_end()
        set_window(task, "auto", self.corpus.part(*PARTS))
        batches = -(-len(utterances) // Finetune.retain_batch)
        # A constant rate, so that no step depends on the limit.
        rate = self.rate * (LORA_FACTOR if name == ADAPTERS else 1)
        method = Finetune(lr=rate, warmup=0.0, final_lr=1.0, epochs=LIMIT / batches)
        with TemporaryDirectory() as folder:
            training = Training(
                task,
                method,
                {"retain": utterances},
                Inputs(task, feature_cache=self.corpus.features),
                Path(folder),
                seed=self.corpus.split.seed,
                prepared=Preparation(
                    stop=Relearned(self.target, on="loss", every=EVERY),
                    checked=self.corpus.part("forget"),
                ),
                description=f"{self.model.name}, {name}",
            )
            outcome = training()
            lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
            rows = [json.loads(line) for line in lines]
        steps = outcome.steps if training.stopped else None
        return steps, min(row[CHECKED] for row in rows if CHECKED in row)


class RelearningMeasure(Measure):
    """The figures of `Relearning` for every model whose seed has an original."""

    name: ClassVar[str] = "relearning"
    needs_original: ClassVar[bool] = True

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        attacks = {
            seed: (relearned_target(given.rows[original.key]), relearning_rate(original))
            for seed, original in given.originals().items()
        }
        jobs = [
            Relearning(model, given.corpus, given.device, *attacks[model.seed])
            for model in given.with_original()
        ]
        given.run(jobs, self.name)
        return {job.model.key: {self.name: job.found()} for job in jobs}


def one_utterance_a_speaker(corpus: Corpus) -> list[Utterance]:
    """Return one training utterance of each forget speaker, drawn by the split's seed."""
    rng = np.random.default_rng([corpus.split.seed, 4])
    forget = corpus.part("forget")
    shuffled = [forget[i] for i in rng.permutation(len(forget))]
    first = {u.speaker: u for u in shuffled}
    return [first[speaker] for speaker in sorted(first)]
