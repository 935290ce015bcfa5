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

from asr_unlearn.attacks.effort import Effort
from asr_unlearn.attacks.workers import carry_out
from asr_unlearn.files import stamp, stands, write_json
from asr_unlearn.inputs import Inputs
from asr_unlearn.jobs import Corpus, original_task
from asr_unlearn.manifest import Utterance
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.run import digest_of
from asr_unlearn.saved import Row, SavedModel
from asr_unlearn.scoring import Level
from asr_unlearn.stopping import Relearned
from asr_unlearn.training import Training

# Steps at most, and from one measurement to the next.
LIMIT, EVERY = 100, 4
# The speakers are known again within this share of the way from the original's loss on them to
# its loss on strangers.
TOLERANCE = 0.1
LR = 3e-4
# Of relearning.json.
VERSION = 2


def known_again(rows: Sequence[Row]) -> Level:
    """The mean forget loss at which they are known as well as by the original with these rows.

    Only the loss matters; the CER of it is the best there is. Without strangers to compare them
    with there is no tolerance.
    """
    losses = {
        part: [row["loss"] for row in rows if row["part"] == part] for part in ("forget", "unseen")
    }
    own = float(np.mean(losses["forget"]))
    strangers = float(np.mean(losses["unseen"] or losses["forget"]))
    return Level(loss=own + TOLERANCE * max(0.0, strangers - own), cer=0.0)


@dataclass(frozen=True)
class Relearning:
    """One model, and the mean forget loss it is to come back to."""

    model: SavedModel
    corpus: Corpus
    target: Level
    device: torch.device

    def __call__(self) -> None:
        relearning(self.model, self.corpus, self.target, device=self.device)


def relearn(
    models: Sequence[SavedModel],
    rows: Mapping[tuple[str, int], Sequence[Row]],
    corpus: Corpus,
    root: Path,
    effort: Effort,
    *,
    device: torch.device,
) -> dict[tuple[str, int], dict[str, float]]:
    """`relearning` of every model whose original is among those with rows, side by side."""
    if not effort.relearn:
        return {}
    targets = {seed: known_again(own) for (name, seed), own in rows.items() if name == "original"}
    jobs = [Relearning(m, corpus, targets[m.seed], device) for m in models if m.seed in targets]
    carry_out(jobs, effort.side_by_side(device), root / "relearning.log", "relearning")
    return {
        (job.model.name, job.model.seed): relearning(job.model, corpus, job.target, device=device)
        for job in jobs
    }


def relearning(
    model: SavedModel, corpus: Corpus, target: Level, *, device: torch.device
) -> dict[str, float]:
    """Steps of fine-tuning until the forget set is known again, on each of the two sets.

    A count is absent where `limit` steps were not enough; the forget loss at which it ended is
    always there. They stand in relearning.json in the model's folder.
    """
    path = model.folder / "relearning.json"
    given = {"one_utterance": one_utterance_a_speaker(corpus), "retain": corpus.part("retain")}
    ids = {name: [u.id for u in utterances] for name, utterances in given.items()}
    watched = [u.id for u in corpus.part("forget")]
    settings = [VERSION, LIMIT, EVERY, LR, target.loss]
    basis = digest_of([model.weights(), ids, watched, settings])
    if not stands(path, basis):
        found: dict[str, float] = {"limit": LIMIT}
        for name, utterances in given.items():
            description = f"{model.name}, {name}"
            steps, loss = _steps(model, corpus, utterances, target, description, device)
            found[f"{name}_loss"] = loss
            if steps is not None:
                found[f"{name}_steps"] = steps
        write_json(path, found)
        stamp(path, basis)
    kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def one_utterance_a_speaker(corpus: Corpus) -> list[Utterance]:
    """One of each forget speaker's training utterances, drawn by the split's seed."""
    rng = np.random.default_rng([corpus.split.seed, 4])
    forget = corpus.part("forget")
    shuffled = [forget[i] for i in rng.permutation(len(forget))]
    first = {u.speaker: u for u in shuffled}
    return [first[speaker] for speaker in sorted(first)]


def _steps(
    model: SavedModel,
    corpus: Corpus,
    utterances: Sequence[Utterance],
    target: Level,
    description: str,
    device: torch.device,
) -> tuple[int | None, float]:
    """Steps until the forget set is known again, None past the limit; and its loss then."""
    task = original_task(model.folder, device, freeze_front_end=True)
    batches = -(-len(utterances) // Finetune.retain_batch)
    # At a steady rate, so that no step's size depends on how many are allowed.
    method = Finetune(lr=LR, warmup=0.0, final_lr=1.0, epochs=LIMIT / batches)
    with TemporaryDirectory() as folder:
        training = Training(
            task,
            method,
            {"retain": utterances},
            Inputs(task, feature_cache=corpus.folder / "features"),
            Path(folder),
            seed=corpus.split.seed,
            stop=Relearned(target, on="loss", every=EVERY),
            watched=corpus.part("forget"),
            description=description,
        )
        outcome = training()
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
        checks = [row for line in lines if "check_forget_loss" in (row := json.loads(line))]
    return outcome.steps if training.progress.stopped else None, checks[-1]["check_forget_loss"]
