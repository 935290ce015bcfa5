"""How soon does a model know the forget speakers again?

What was only hidden comes back after a few steps of fine-tuning, what was never learned has to be
learned (Hu et al., arXiv 2406.13356): on one utterance of each forget speaker, or on the retain set
alone, which holds nothing of theirs. To be read beside the retrained model's figures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.processes import run_jobs
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.io import digest_of, stamp, stands, write_json
from asr_unlearn.training.stop_rule import Relearned
from asr_unlearn.training.trainer import Training
from asr_unlearn.training.unlearn import original_task

# Steps at most, and from one measurement to the next.
LIMIT, EVERY = 100, 4
# The speakers are known again within this share of the way from the original's loss on them to
# its loss on strangers.
TOLERANCE = 0.1
LR = 3e-4
# Of relearning.json.
VERSION = 2


def known_again(rows: Sequence[Row]) -> MeanScore:
    """The mean forget loss at which they are known as well as by the original with these rows.

    Only the loss matters; the CER of it is the best there is. Without strangers to compare them
    with there is no tolerance.
    """
    losses = {
        part: [row["loss"] for row in rows if row["part"] == part] for part in ("forget", "unseen")
    }
    own = float(np.mean(losses["forget"]))
    strangers = float(np.mean(losses["unseen"] or losses["forget"]))
    return MeanScore(loss=own + TOLERANCE * max(0.0, strangers - own), cer=0.0)


@dataclass(frozen=True)
class Relearning:
    """Fine-tuning of one model on each of the two sets, until its mean forget loss is `target`'s.

    What is found stands in relearning.json among the model's answers.
    """

    model: SavedModel
    corpus: Corpus
    target: MeanScore
    device: torch.device

    @property
    def path(self) -> Path:
        return self.model.predictions / "relearning.json"

    def sets(self) -> dict[str, list[Utterance]]:
        """What to fine-tune on."""
        return {
            "one_utterance": one_utterance_a_speaker(self.corpus),
            "retain": self.corpus.part("retain"),
        }

    @property
    def basis(self) -> str:
        """Of all that the figures come from."""
        learned = {name: content(utterances) for name, utterances in self.sets().items()}
        checked = content(self.corpus.part("forget"))
        settings = [VERSION, LIMIT, EVERY, LR, self.target.loss]
        return digest_of([self.model.files(), learned, checked, settings])

    def is_done(self) -> bool:
        return stands(self.path, self.basis)

    def __call__(self) -> None:
        found: dict[str, float] = {"limit": LIMIT}
        for name, utterances in self.sets().items():
            steps, loss = self._steps(utterances, f"{self.model.name}, {name}")
            found[f"{name}_loss"] = loss
            if steps is not None:
                found[f"{name}_steps"] = steps
        write_json(self.path, found)
        stamp(self.path, self.basis)

    def found(self) -> dict[str, float]:
        """Steps on each set, where `limit` of them were enough, and the forget loss at the end."""
        kept: dict[str, float] = json.loads(self.path.read_text(encoding="utf-8"))
        return kept

    def _steps(self, utterances: Sequence[Utterance], description: str) -> tuple[int | None, float]:
        """Steps until the forget set is known again, None past the limit; and its loss then."""
        task = original_task(self.model.folder, self.device, freeze_front_end=True)
        set_window(task, "auto", self.corpus.part(*PARTS))
        batches = -(-len(utterances) // Finetune.retain_batch)
        # At a steady rate, so that no step's size depends on how many are allowed.
        method = Finetune(lr=LR, warmup=0.0, final_lr=1.0, epochs=LIMIT / batches)
        with TemporaryDirectory() as folder:
            training = Training(
                task,
                method,
                {"retain": utterances},
                Inputs(task, feature_cache=self.corpus.features),
                Path(folder),
                seed=self.corpus.split.seed,
                stop=Relearned(self.target, on="loss", every=EVERY),
                checked=self.corpus.part("forget"),
                description=description,
            )
            outcome = training()
            lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
            checks = [row for line in lines if "check_forget_loss" in (row := json.loads(line))]
        steps = outcome.steps if training.stopped else None
        return steps, checks[-1]["check_forget_loss"]


def relearn(
    models: Sequence[SavedModel],
    rows: Mapping[Key, Sequence[Row]],
    corpus: Corpus,
    root: Path,
    budget: AttackBudget,
    *,
    device: torch.device,
) -> dict[Key, dict[str, float]]:
    """What `Relearning` finds of every model whose original is among those with rows."""
    if not budget.relearn:
        return {}
    targets = {seed: known_again(own) for (name, seed), own in rows.items() if name == "original"}
    jobs = [Relearning(m, corpus, targets[m.seed], device) for m in models if m.seed in targets]
    run_jobs(jobs, budget.side_by_side(device), root / "relearning.log", "relearning")
    return {job.model.key: job.found() for job in jobs}


def one_utterance_a_speaker(corpus: Corpus) -> list[Utterance]:
    """One of each forget speaker's training utterances, drawn by the split's seed."""
    rng = np.random.default_rng([corpus.split.seed, 4])
    forget = corpus.part("forget")
    shuffled = [forget[i] for i in rng.permutation(len(forget))]
    first = {u.speaker: u for u in shuffled}
    return [first[speaker] for speaker in sorted(first)]
