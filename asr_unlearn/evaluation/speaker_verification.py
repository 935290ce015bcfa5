"""Speaker classifiers in an evaluation: speaker verification, and as the judge of recognisers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.evaluation.predictions import Row, embeddings, transcribe
from asr_unlearn.metrics.accuracy import accuracy
from asr_unlearn.metrics.verification import Trial, draw_trials, read_trials, verify
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.cache import predictions_folder
from asr_unlearn.runtime.errors import InputError

logger = logging.getLogger(__name__)

TRIALS = "trials.txt"
"""The corpus' own list of speaker verification trials, beside its manifest."""
TRAINED_ON = ("forget", "retain")


def names_speakers(model: SavedModel, manifest: Sequence[Utterance]) -> bool:
    """Whether the model is a classifier of the corpus' speakers."""
    if any(utterance.label is not None for utterance in manifest):
        return False
    return model.kind() == "classification"


@dataclass(frozen=True)
class Trials:
    """Speaker verification trials.

    Attributes:
        unseen: among speakers that no model was trained on.
        forget: of each forget speaker, against the same, another, or an unseen speaker.
    """

    unseen: Sequence[Trial]
    forget: Sequence[Trial]

    @classmethod
    def of(cls, corpus: Corpus, listed: Path | None = None) -> "Trials":
        """Return the corpus' own trials if `listed` exists, else trials drawn by the split's seed.

        Listed trials with a speaker that models were trained on are left out; they are drawn, with
        a warning, where that leaves none.
        """
        trained = {u.speaker for u in corpus.part(*TRAINED_ON)}
        others = corpus.part("unseen", "test")
        unseen = {u.id: u.speaker for u in others if u.speaker not in trained}
        forget = {u.id: u.speaker for u in corpus.part("forget", "forget_heldout")}
        seed = corpus.split.seed
        about = draw_trials(unseen | forget, seed=seed, about=set(corpus.split.forget_speakers))
        if listed is not None and listed.exists():
            among = unseen.keys()
            if usable := [t for t in read_trials(listed) if {t.first, t.second} <= among]:
                return cls(usable, about)
            logger.warning(
                "%s: each trial has a speaker that models were trained on; others are drawn",
                listed,
            )
        return cls(draw_trials(unseen, seed=seed), about)

    def ids(self) -> set[str]:
        """Return the ids of all utterances in the trials."""
        return {name for t in (*self.unseen, *self.forget) for name in (t.first, t.second)}


def verification(
    model: SavedModel, corpus: Corpus, trials: Trials, *, device: torch.device
) -> dict[str, float]:
    """Return equal error rate and mean cosines, of unseen and ("forget_") of forget speakers."""
    wanted = trials.ids()
    utterances = [u for u in corpus.manifest if u.id in wanted]
    if not utterances:
        return {}
    vectors = embeddings(model, utterances, device=device)
    by_id = {u.id: vector for u, vector in zip(utterances, vectors, strict=True)}
    found: dict[str, float] = {}
    if trials.unseen:
        found |= vars(verify(by_id, trials.unseen))
    if trials.forget:
        about = vars(verify(by_id, trials.forget))
        found |= {f"forget_{key}": figure for key, figure in about.items() if key != "trials"}
    return found


def check_judge(folder: Path) -> tuple[Path, Path]:
    """The manifest and split of a judge's run; raises InputError where it has none."""
    manifest, split = folder / "manifest.jsonl", folder / "split.json"
    if not (manifest.is_file() and split.is_file()):
        raise InputError(f"judge {folder}: it has no manifest.jsonl and split.json of a run")
    return manifest, split


@dataclass(frozen=True)
class Judge:
    """Speaker classifiers that were trained and unlearned on the same split as the recognisers.

    Their accuracy on a recogniser's forget speakers is judged method by method, seed by seed.
    """

    folder: Path
    corpus: Corpus
    trials: Trials
    root: Path

    @classmethod
    def at(cls, folder: Path, corpus: Corpus, root: Path) -> "Judge":
        """Return the judge in the output folder of a classifier's run, for an evaluation in `root`.

        Raises:
            InputError: there is no such folder, or it was made for another split.
        """
        manifest, split = check_judge(folder)
        own = Corpus.read(manifest, split)
        for part in ("forget", "retain", "unseen"):
            theirs, ours = (set(c.split.parts[part]) for c in (own, corpus))
            if theirs != ours:
                raise InputError(
                    f"judge {folder} was made for another split: {len(theirs ^ ours)} utterances "
                    f"of {part} differ; run it with the same data, forget list and split seed"
                )
        return cls(folder, own, Trials.of(own, manifest.with_name(TRIALS)), root)

    def classifier(self, model: SavedModel) -> SavedModel | None:
        """Return the classifier of the model's name and seed; None without one."""
        for folder in (self.folder / f"seed{model.seed}" / model.name, self.folder / model.name):
            if (folder / "config.json").is_file():
                found = SavedModel.at(folder)
                if found.seed == model.seed:
                    return replace(found, cache=predictions_folder(folder, self.root))
        return None

    def figures(self, model: SavedModel, *, device: torch.device) -> dict[str, float]:
        """Return accuracy on forget and retain speakers, and equal error rate on unseen speakers.

        They are those of the classifier that was trained and unlearned as the model was; empty,
        with a warning, without one. The accuracy on speakers it has no class for is left out.
        """
        classifier = self.classifier(model)
        if classifier is None:
            logger.warning(
                "judge %s has no classifier %s of seed %d; that model is not judged",
                *(self.folder, model.name, model.seed),
            )
            return {}
        rows = transcribe(classifier, self.corpus.manifest, self.corpus.split, device=device)
        judged = {part for part in TRAINED_ON if any(row["part"] == part for row in rows)}
        found = {f"judge_{part}": _accuracy(rows, part) for part in sorted(judged)}
        verified = verification(classifier, self.corpus, self.trials, device=device)
        return found | ({"judge_eer": verified["eer"]} if "eer" in verified else {})


def _accuracy(rows: Sequence[Row], part: str) -> float:
    """Share of a part's utterances with the right speaker."""
    chosen = [row for row in rows if row["part"] == part]
    return accuracy([row["errors"] for row in chosen], [row["speaker"] for row in chosen])[0]
