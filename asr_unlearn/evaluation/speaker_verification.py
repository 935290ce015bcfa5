"""What classifiers know of speakers: verification by their embeddings, and the judge of others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.evaluation.predictions import Row, embeddings, transcribe
from asr_unlearn.metrics.accuracy import accuracy
from asr_unlearn.metrics.verification import Trial, Verification, draw_trials, read_trials, verify
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.cache import predictions_folder
from asr_unlearn.runtime.errors import InputError

TRIALS = "trials.txt"
"""Beside a manifest: the corpus' own trials of speaker verification."""
TRAINED_ON = ("forget", "retain")


def names_speakers(model: SavedModel, manifest: Sequence[Utterance]) -> bool:
    """Whether the model is a classifier whose classes are the corpus' speakers."""
    if any(utterance.label is not None for utterance in manifest):
        return False
    return model.kind() == "classification"


@dataclass(frozen=True)
class Trials:
    """What speaker verification is tried on.

    `strangers` are people the models were never trained on, `forget` the forget speakers, each of
    them against themselves and anybody in either group.
    """

    strangers: Sequence[Trial]
    forget: Sequence[Trial]

    @classmethod
    def of(cls, corpus: Corpus, listed: Path | None = None) -> "Trials":
        """The corpus' own trials where `listed` exists, else some drawn by the split's seed.

        Raises:
            ValueError: both utterances of no listed trial have been kept from training.
        """
        known = {u.speaker for u in corpus.part(*TRAINED_ON)}
        unmet = {u.id: u.speaker for u in corpus.part("unseen", "test") if u.speaker not in known}
        forget = {u.id: u.speaker for u in corpus.part("forget", "forget_heldout")}
        seed = corpus.split.seed
        about = draw_trials(unmet | forget, seed=seed, about=set(corpus.split.forget_speakers))
        if listed is None or not listed.exists():
            return cls(draw_trials(unmet, seed=seed), about)
        away = {u.id for u in corpus.part("unseen", "test", "forget_heldout")}
        fair = [t for t in read_trials(listed) if away.issuperset((t.first, t.second))]
        if not fair:
            raise InputError(f"{listed}: no trial of two utterances that were kept from training")
        return cls(fair, about)

    def ids(self) -> set[str]:
        return {name for t in (*self.strangers, *self.forget) for name in (t.first, t.second)}


def verification(
    model: SavedModel, corpus: Corpus, trials: Trials, *, device: torch.device
) -> dict[str, float]:
    """Equal error rate and mean cosines on strangers, and on the forget speakers."""
    wanted = trials.ids()
    utterances = [u for u in corpus.manifest if u.id in wanted]
    if not utterances:
        return {}
    vectors = embeddings(model, utterances, device=device)
    by_id = {u.id: vector for u, vector in zip(utterances, vectors, strict=True)}
    found: dict[str, float] = {}
    if trials.strangers:
        found |= vars(verify(by_id, trials.strangers))
    if trials.forget:
        about: Verification = verify(by_id, trials.forget)
        found |= {
            "forget_eer": about.eer,
            "forget_similarity_same": about.similarity_same,
            "forget_similarity_different": about.similarity_different,
        }
    return found


@dataclass(frozen=True)
class Judge:
    """A folder of speaker classifiers, trained and unlearned on the same split as the models."""

    folder: Path
    corpus: Corpus
    trials: Trials
    root: Path

    @classmethod
    def at(cls, folder: Path, corpus: Corpus, root: Path) -> "Judge":
        """The judge in the output folder of a classifier's run, for an evaluation in `root`.

        Raises:
            ValueError: no such folder, or one that was made for another split.
        """
        manifest, split = folder / "manifest.jsonl", folder / "split.json"
        if not (manifest.is_file() and split.is_file()):
            raise InputError(f"judge {folder}: no manifest.jsonl and split.json of a run there")
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
        """The one of the model's name and seed, None where none stands."""
        for folder in (self.folder / f"seed{model.seed}" / model.name, self.folder / model.name):
            if (folder / "config.json").is_file():
                found = SavedModel.at(folder)
                if found.seed == model.seed:
                    return replace(found, cache=predictions_folder(folder, self.root))
        return None

    def figures(self, model: SavedModel, *, device: torch.device) -> dict[str, float]:
        """Accuracy on forget and retain speakers, and equal error rate on strangers.

        Of the classifier that was treated as the model was; empty, and said, where none was.
        """
        classifier = self.classifier(model)
        if classifier is None:
            print(
                f"judge {self.folder}: no classifier {model.name} of seed {model.seed}; "
                "it says nothing of that model"
            )
            return {}
        rows = transcribe(classifier, self.corpus.manifest, self.corpus.split, device=device)
        found = {f"judge_{part}": _named(rows, part) for part in TRAINED_ON}
        tried = verification(classifier, self.corpus, self.trials, device=device)
        return found | ({"judge_eer": tried["eer"]} if "eer" in tried else {})


def _named(rows: Sequence[Row], part: str) -> float:
    """Share of a part's utterances whose speaker is named right."""
    chosen = [row for row in rows if row["part"] == part]
    return accuracy([row["errors"] for row in chosen], [row["speaker"] for row in chosen])[0]
