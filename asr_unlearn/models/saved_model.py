"""A published model folder: its weights and settings, and what it was made from."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.spelling import Spelling
from asr_unlearn.data.split import Split
from asr_unlearn.models.adapters import CONFIG as ADAPTERS
from asr_unlearn.models.adapters import base_of, settings_digest
from asr_unlearn.models.config import read_config, task_of
from asr_unlearn.models.hub import model_folder
from asr_unlearn.models.loading import load_model
from asr_unlearn.models.run_record import read_run
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.tasks import Task, task_for
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest

Key = tuple[str, int]
"""Name and seed, which identify a model in an evaluation."""
# The files that transformers saves beside the weights and reads again.
SETTINGS = (
    *("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "normalizer.json", "sentencepiece.bpe.model"),
)


# Put before the names of the files of a base, beside those of the adapters on it.
OF_BASE = "base/"


def weights_of_base(weights: Mapping[str, str]) -> dict[str, str]:
    """The digests of the base among those of adapters, as `SavedModel.weights` of it has them."""
    found = {name: sha for name, sha in weights.items() if name.startswith(OF_BASE)}
    return {name.removeprefix(OF_BASE): sha for name, sha in found.items()}


@dataclass(frozen=True)
class SavedModel:
    """A published model folder and its name in the report.

    Attributes:
        name: in the report.
        seed: of the run that made it.
        folder: of the model.
        cache: folder for its predictions; None for the model's own.
        window: seconds of a Whisper encoder's window; None for the model's own.
        spelling: of a Whisper's transcripts; None for that of its config.
    """

    name: str
    seed: int
    folder: Path
    cache: Path | None = None
    window: float | None = None
    spelling: Spelling | None = None

    @property
    def predictions(self) -> Path:
        """The folder for its predictions."""
        return self.cache or self.folder

    @property
    def key(self) -> Key:
        return self.name, self.seed

    @classmethod
    def at(cls, folder: Path) -> "SavedModel":
        """The model in a folder, with the folder's name and the seed of its run.json."""
        model = cls(folder.name, 0, folder)
        return replace(model, seed=model.run().get("seed", 0))

    def run(self) -> dict[str, Any]:
        """Return its run.json; empty for a model made elsewhere."""
        return read_run(self.folder)

    def kind(self) -> TaskName:
        """The task of the model's class."""
        return task_of(read_config(str(self.folder)))

    def has_window(self) -> bool:
        """Whether it is a Whisper that transcribes, whose window can be shortened."""
        config = read_config(str(self.folder))
        return task_of(config) == "seq2seq" and config.model_type == "whisper"

    def original(self) -> Path:
        """The folder of the model that it was unlearned from; right also if both were moved.

        Raises:
            InputError: its run.json does not say.
        """
        if (original := self._made_from("original")) is None:
            raise InputError(f"{self.folder}/run.json does not say which model it was made from")
        return original

    def reference_model(self) -> Path | None:
        """The folder of the reference model of its stop rule, if it had one."""
        return self._made_from("reference_model")

    def _made_from(self, name: str) -> Path | None:
        source = self.run().get(name)
        # Without the detour through this folder.
        return source and Path(os.path.normpath(self.folder / source["path"]))

    def training_overlap(self, split: Split, parts: Collection[str]) -> str | None:
        """Why its run.json does not rule out that it was trained on these parts; else None.

        A model without a run.json is assumed not to be.
        """
        run = self.run()
        if run.get("kind") == "unlearn":
            return "it was unlearned, and was trained on the forget speakers"
        if run.get("kind") != "train":
            return None
        if not set(parts).isdisjoint(trained := run["options"]["parts"]):
            return (
                f"it was trained on the parts {', '.join(trained)}; "
                "`asr-unlearn train --parts retain` trains one"
            )
        if run.get("request", split.digest) != split.digest:
            return (
                "it was trained for another split, perhaps on speakers to be forgotten here; "
                "train it again"
            )
        return None

    def unlearned_for(self, split: Split) -> bool:
        """Whether its run.json says that it was unlearned for this request."""
        run = self.run()
        return run.get("kind") == "unlearn" and run.get("request") == split.digest

    def comes_from(self, other: "SavedModel") -> bool:
        """Whether it was unlearned from the other one, at once or in several requests.

        Where a model in between is gone, that cannot be ruled out.
        """
        model, weights, seen = self, other.weights(), set[Path]()
        while model.run().get("kind") == "unlearn" and model.folder not in seen:
            if model.run()["original"]["sha256"] == weights:
                return True
            seen.add(model.folder)
            model = SavedModel.at(model.original())
        return not model.weights()

    def nothing_to_forget(self, split: Split) -> str | None:
        """Why, by its run.json, it is not the model to unlearn for this request; else None."""
        run = self.run()
        if run.get("kind") != "train" or "request" not in run:
            return None
        trained, same = run["options"]["parts"], run["request"] == split.digest
        if same and "forget" not in trained:
            return (
                f"it was trained on the parts {', '.join(trained)} alone, so that there is nothing "
                "to forget in it; give the model that was trained on the forget part"
            )
        if split.forgotten_speakers and not same and "forget" in trained:
            return (
                "it was trained before the earlier requests, whose speakers it would remember; "
                "give the model that was unlearned for the last of them"
            )
        return None

    def check_weights(self) -> None:
        """Check that an unlearned model's weights are those that its run published.

        A run.json of an earlier version holds only the original's.

        Raises:
            InputError: they are others, such as the original's.
        """
        run = self.run()
        if run.get("kind") != "unlearn":
            return
        now = self.weights()
        if now == run["original"]["sha256"]:
            raise InputError(
                f"{self.folder}: its weights are the original's, so nothing is unlearned in it; "
                "unlearn again"
            )
        if now != run.get("weights", now):
            raise InputError(
                f"{self.folder}: its weights are not those that its run.json says were published; "
                "unlearn again"
            )

    def as_source(self, out: Path) -> dict[str, Any]:
        """The entry for it in the run.json of a model at `out` that is made from it."""
        return {"path": os.path.relpath(self.folder, out), "sha256": self.weights()}

    def weights(self) -> dict[str, str]:
        """SHA-256 of each file of weights; of adapters, with their settings and their base."""
        own = {path.name: digest(path) for path in sorted(self.folder.glob("*.safetensors"))}
        if (base := base_of(self.folder)) is None:
            return own
        # Adapters of scale 0 are none.
        own[ADAPTERS] = settings_digest(self.folder)
        under = SavedModel.at(model_folder(base)).weights()
        return own | {f"{OF_BASE}{name}": sha256 for name, sha256 in under.items()}

    def settings(self) -> dict[str, str]:
        """SHA-256 of each file of settings."""
        paths = (self.folder / name for name in SETTINGS)
        return {path.name: digest(path) for path in paths if path.is_file()}

    def files(self) -> dict[str, str]:
        """SHA-256 of all files that its predictions depend on; window and spelling if given."""
        given = {"window": self.window, "spelling": self.spelling}
        used = {name: str(value) for name, value in given.items() if value is not None}
        return self.weights() | self.settings() | used

    def task(self, device: torch.device, *, beams: int = 1) -> Task:
        """The model, loaded, in eval mode."""
        model, processor = load_model(str(self.folder))
        task = task_for(model, processor, device, beams=beams)
        if self.window is not None:
            set_window(task, self.window, ())
        if self.spelling is not None:
            choose_spelling(task, (), self.spelling)
        task.model.eval()
        return task

    def spelled(self, utterances: Sequence[Utterance], device: torch.device) -> "SavedModel":
        """The model with the spelling chosen by `utterances`, where its config holds none.

        See `choose_spelling`.
        """
        config = read_config(str(self.folder))
        if self.kind() != "seq2seq" or getattr(config, "transcript_spelling", None):
            return self
        return replace(self, spelling=choose_spelling(self.task(device), utterances))
