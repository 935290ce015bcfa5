"""The commands of a recipe, from the data to the report, for one request or several."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from asr_unlearn.cli.recipe import Recipe
from asr_unlearn.evaluation.measures.registry import chosen, without_original
from asr_unlearn.evaluation.predictions import TRANSCRIPTS
from asr_unlearn.evaluation.record_file import NAME as DELETION_RECORD
from asr_unlearn.evaluation.speaker_verification import TRIALS
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.registry import find_method, users_method
from asr_unlearn.runtime.cache import predictions_folder
from asr_unlearn.runtime.text import names_in

REFERENCE_MODEL = "reference_model"
RETRAINED_SHORT = "retrained_short"
# As the model of `reference_model`: the pretrained model that the original is fine-tuned from.
BASE = "base"
STAGES = ("data", "split", "original", "retrained", "unlearn", "evaluate", "report")
# Attacks that compare with the original, which is no part of a later request's evaluation.
NEED_ORIGINAL = ("shadows", "unlearn_shadows", "judge")


@dataclass(frozen=True)
class RecipeStep:
    """One command of a stage, its input files and its output.

    Attributes:
        also: further files that it has written; they are known once it has run.
    """

    stage: int
    name: str
    argv: list[str]
    reads: list[Path]
    leaves: Path
    also: Callable[[], list[Path]] = list


@dataclass(frozen=True)
class Plan:
    """The commands of a recipe for one corpus, model, request and output folder.

    A later request has a folder of its own, and makes the models of the request before it forget
    more speakers.

    Attributes:
        folders: where the models of each seed stand, within `out`.
        after: the plan of the request before.
    """

    recipe: Recipe
    model: str
    data: Path
    out: Path
    folders: Mapping[int, Path]
    device: str
    forget: Path | None = None
    after: "Plan | None" = None

    def later(self, forget: Path) -> "Plan":
        """The plan of the next request."""
        out = self.root / f"request{len(self.before) + 2}"
        folders = {
            seed: out if folder == self.out else out / folder.name
            for seed, folder in self.folders.items()
        }
        return replace(self, out=out, folders=folders, forget=forget, after=self)

    @property
    def before(self) -> list["Plan"]:
        """The plans of the requests before, the first one first."""
        return [*self.after.before, self.after] if self.after else []

    @property
    def root(self) -> Path:
        """The folder of all requests."""
        return self.before[0].out if self.after else self.out

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.jsonl"

    @property
    def results(self) -> Path:
        return self.out / "results.json"

    @property
    def split(self) -> Path:
        return self.out / "split.json"

    def inputs(self) -> list[Path]:
        """What is read that none of the commands makes."""
        methods = (users_method(name) for name in self.recipe.methods)
        given = [
            *(self.data, self.forget, self.model),
            None if self._reference_model() == BASE else self._reference_model(),
            self.recipe.evaluate.get("judge"),
            *(users[0] for users in methods if users),
        ]
        return [Path(path) for path in given if path]

    def commands(self) -> list[RecipeStep]:
        """Every command of every stage, in order."""
        after = self.after
        steps = [self._divide_later(after)] if after else [self._prepare(), self._divide()]
        for seed in self.folders:
            if not self.after:
                steps.append(self._train(3, "original", "retain,forget", seed))
            steps.append(self._train(4, "retrained", "retain", seed))
            if changes := self.recipe.retrained_short:
                steps.append(self._train(4, RETRAINED_SHORT, "retain", seed, changes))
            if self._reference_model() not in (None, BASE):
                steps.append(self._train_reference_model(seed))
            steps += [self._unlearn(method, seed) for method in self.recipe.methods]
        models = [
            step.leaves
            for step in steps
            if step.stage in (3, 4, 5) and step.leaves.name != REFERENCE_MODEL
        ]
        steps += [self._evaluate(models), self._report()]
        # All originals before all retrained models, so that `--stop-stage` means what it says.
        return sorted(steps, key=lambda step: step.stage)

    def _prepare(self) -> RecipeStep:
        options = dict(self.recipe.prepare)
        module = options.pop("module")
        argv = [module, "--data", str(self.data), "--out", str(self.manifest)]
        for key, value in options.items():
            switch = str(value).lower()
            argv += {"true": [f"--{key}"], "false": []}.get(switch, [f"--{key}", str(value)])
        argv += _must_fit(self.model)
        beside = [self.manifest.with_suffix(".problems.json"), self.manifest.with_name(TRIALS)]
        return RecipeStep(1, "data", argv, [self.data], self.manifest, lambda: beside)

    def _divide(self) -> RecipeStep:
        argv = ["split", "--manifest", str(self.manifest), "--out", str(self.split)]
        options, reads = dict(self.recipe.split), [self.manifest]
        if self.forget:
            # A recipe that forgets labels takes a list of them.
            options["forget_labels" if "forget_labels" in options else "forget"] = self.forget
            reads.append(self.forget)
        if options.keys() & {"forget", "forget_labels"}:
            # The recipe draws speakers where nobody is named.
            options.pop("draw", None)
        argv += flags(options)
        return RecipeStep(2, "split", argv, reads, self.split)

    def _divide_later(self, after: "Plan") -> RecipeStep:
        argv = ["split", "--manifest", str(self.manifest), "--after", str(after.split)]
        argv += ["--out", str(self.split), "--forget", str(self.forget)]
        kept = {"heldout": self.recipe.split["heldout"]} if "heldout" in self.recipe.split else {}
        reads = [self.manifest, after.split, *([self.forget] if self.forget else [])]
        return RecipeStep(2, self._titled("split"), [*argv, *flags(kept)], reads, self.split)

    def _titled(self, name: str) -> str:
        """A name with the folder of a later request before it."""
        return str(self.out.relative_to(self.root) / name)

    def _train(
        self, stage: int, name: str, parts: str, seed: int, changes: Mapping[str, Any] | None = None
    ) -> RecipeStep:
        argv = ["train", *self._corpus(), "--model", self.model, "--parts", parts]
        argv += _finetune_flags({**self.recipe.finetune, **(changes or {})})
        source = [Path(self.model)] if Path(self.model).exists() else []
        return self._publish(stage, name, argv, seed, source)

    def _reference_model(self) -> str | None:
        return self.recipe.reference_model.get("model") or None

    def _train_reference_model(self, seed: int) -> RecipeStep:
        options = dict(self.recipe.reference_model)
        model = str(options.pop("model"))
        argv = ["train", *self._corpus(), "--model", model, "--parts", "retain"]
        argv += _finetune_flags(options)
        source = [Path(model)] if Path(model).exists() else []
        return self._publish(5, REFERENCE_MODEL, argv, seed, source)

    def _unlearn(self, method: str, seed: int) -> RecipeStep:
        before = find_method(method).name if self.after else "original"
        original = (self.after or self).folders[seed] / before
        argv = ["unlearn", *self._corpus(), "--model", str(original), "--method", method]
        argv += [*flags(self.recipe.unlearn), *flags(self.recipe.stop, "--stop.")]
        sources = [original]
        if self._reference_model() == BASE:
            argv += ["--stop.reference_model", self.model]
        elif self._reference_model():
            reference_model = self.folders[seed] / REFERENCE_MODEL
            argv += ["--stop.reference_model", str(reference_model)]
            sources.append(reference_model)
        argv += flags(self.recipe.methods[method], "--method.")
        # Somebody's own method is a file that changes between runs.
        if users := users_method(method):
            sources.append(Path(users[0]))
        return self._publish(5, find_method(method).name, argv, seed, sources)

    def _publish(
        self, stage: int, name: str, argv: list[str], seed: int, sources: list[Path]
    ) -> RecipeStep:
        folder = self.folders[seed] / name
        argv += ["--out", str(folder), "--seed", str(seed), "--device", self.device]
        title = str(folder.relative_to(self.root))
        return RecipeStep(stage, title, argv, [self.manifest, self.split, *sources], folder)

    def _evaluate(self, models: list[Path]) -> RecipeStep:
        names = ",".join(str(model.relative_to(self.out)) for model in models)
        options = dict(self.recipe.evaluate)
        if self.after:
            options = {key: value for key, value in options.items() if key not in NEED_ORIGINAL}
            if "measures" in options:
                kept = without_original(names_in(options.pop("measures")))
                options |= {"measures": ",".join(kept)} if kept else {}
        argv = ["evaluate", *self._corpus(), "--models", names, "--corpus", self.recipe.corpus]
        argv += ["--out", str(self.results), "--device", self.device, *flags(options)]
        own = [method for method in self.recipe.methods if users_method(method)]
        if own and (options.get("informed") or options.get("unlearn_shadows")):
            argv += ["--method_files", ",".join(own)]
        # Where a corpus has no trials, nothing is read there.
        reads = [self.manifest, self.split, self.manifest.with_name(TRIALS), *models]
        if judge := options.get("judge"):
            reads.append(Path(judge))
        # A measure may take a file or a folder: `further_test=MANIFEST`.
        measures = chosen(names_in(options.get("measures", "")))
        reads += [Path(m.argument) for m in measures if m.argument and Path(m.argument).exists()]

        def also() -> list[Path]:
            predicted = [predictions_folder(model, self.out) / TRANSCRIPTS for model in models]
            return [*predicted, *(model / DELETION_RECORD for model in models)]

        return RecipeStep(6, self._titled("evaluate"), argv, reads, self.results, also)

    def _report(self) -> RecipeStep:
        argv = ["report", "--results", str(self.results)]
        earlier = [plan.results for plan in self.before]
        if earlier:
            argv += ["--earlier", ",".join(map(str, earlier))]
        page = self.out / "report.html"
        reads = [self.results, *earlier]
        return RecipeStep(
            7, self._titled("report"), argv, reads, page, lambda: [page.with_suffix(".md")]
        )

    def _corpus(self) -> list[str]:
        return ["--manifest", str(self.manifest), "--split", str(self.split)]


def flags(options: Mapping[str, Any], prefix: str = "--") -> list[str]:
    """`{"seed": 1, "augmented": True}` as `["--seed", "1", "--augmented", "true"]`."""
    given: list[str] = []
    for key, value in options.items():
        given += [f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else str(value)]
    return given


def _finetune_flags(options: Mapping[str, Any]) -> list[str]:
    """Options of `Finetune` as `--finetune.KEY`, others as flags of `asr-unlearn train`."""
    names = {f.name for f in fields(Finetune)}
    own = {key: value for key, value in options.items() if key in names}
    others = {key: value for key, value in options.items() if key not in names}
    return [*flags(others), *flags(own, "--finetune.")]


def _must_fit(model: str) -> list[str]:
    """Flags to leave out utterances that a local model has too few frames or no characters for."""
    path = Path(model)
    config = path / "config.json" if path.is_dir() else path
    vocabulary = path / "vocab.json"
    given = ["--config", str(config)] if config.is_file() else []
    return given + (["--alphabet", str(vocabulary)] if vocabulary.is_file() else [])
