"""A recipe: the content of recipe.yaml, and its commands from the data to the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from asr_unlearn.cli.recipe_checks import MAPPINGS, SECTIONS, check_content, check_options
from asr_unlearn.evaluation.predictions import TRANSCRIPTS
from asr_unlearn.evaluation.record_file import NAME as DELETION_RECORD
from asr_unlearn.evaluation.speaker_verification import TRIALS
from asr_unlearn.methods import METHODS
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.registry import find_method, users_method
from asr_unlearn.runtime.cache import predictions_folder
from asr_unlearn.runtime.documents import read_yaml
from asr_unlearn.runtime.errors import InputError

REFERENCE_MODEL = "reference_model"
# As the model of `reference_model`: the pretrained model that the original is fine-tuned from.
BASE = "base"
STAGES = ("data", "split", "original", "retrained", "unlearn", "evaluate", "report")


@dataclass
class Recipe:
    """The content of recipe.yaml; `--set section.key=value` changes any of it.

    Attributes:
        corpus: its name in the report.
        prepare: the module of data_prep, and its flags.
        model: a Hugging Face name, or a config to train from scratch beside recipe.yaml.
        split, stop: flags of `asr-unlearn split`, and `--stop.*` of `asr-unlearn unlearn`.
        reference_model: its `model`, and options to fine-tune it on the retain set with; it tells
            the stop target how hard the forget speakers are. None without a model; with the model
            "base" it is the pretrained model that the original is fine-tuned from, as it is.
        finetune: options of fine-tuning the original and the retrained model (`--finetune.*`), and
            other flags of `asr-unlearn train`.
        unlearn: other flags of `asr-unlearn unlearn`, for every method: `freeze_encoder`, `lora.r`,
            `compute.precision`.
        pretrained: by task ("ctc", "seq2seq", "classification"), what `finetune` is when `--model`
            names a model with weights.
        evaluate: flags of `asr-unlearn evaluate`.
        methods: which to run, with their options where they differ from the defaults.
        presets: by name, what `--preset` changes in all of the above.
    """

    corpus: str
    prepare: dict[str, Any]
    model: str
    split: dict[str, Any] = field(default_factory=dict)
    stop: dict[str, Any] = field(default_factory=dict)
    reference_model: dict[str, Any] = field(default_factory=dict)
    finetune: dict[str, Any] = field(default_factory=dict)
    unlearn: dict[str, Any] = field(default_factory=dict)
    pretrained: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluate: dict[str, Any] = field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # "null" stands for nothing: a preset leaves the reference model out with it.
        for section in MAPPINGS:
            setattr(self, section, getattr(self, section) or {})

    def choose_methods(self, names: Sequence[str]) -> None:
        """Keep these methods, with the options that the recipe has for them; "all" is every one."""
        chosen = [n for name in names for n in (METHODS if name == "all" else (name,))]
        self.methods = {name: self.methods.get(name) or {} for name in chosen}

    def with_preset(self, name: str) -> "Recipe":
        """The recipe with a preset's changes: mappings are merged, the rest is replaced.

        Raises:
            InputError: there is no such preset.
        """
        if name not in self.presets:
            known = ", ".join(self.presets) or "none"
            raise InputError(f"unknown preset {name!r}; {self.corpus} has {known}")
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return _recipe(merged(own, self.presets[name]))

    def use_pretrained(self, task: str) -> None:
        """Use the recipe's hyper-parameters for pretrained models of a task.

        Raises:
            InputError: the recipe has none for that task.
        """
        if task not in self.pretrained:
            known = ", ".join(self.pretrained) or "no task"
            raise InputError(f"{self.corpus} fine-tunes pretrained models for {known}, not {task}")
        kept = {"task": self.finetune["task"]} if "task" in self.finetune else {}
        self.finetune = kept | self.pretrained[task]

    def apply(self, setting: str) -> None:
        """Apply `section.key=value` to the recipe; a method's section is its name.

        Raises:
            InputError: not of that form, or no such section.
        """
        path, separator, value = setting.partition("=")
        # "finetune" is a section and a method: the method's is methods.finetune.
        sections: dict[str, dict[str, Any]] = {
            **self.methods,
            **{find_method(name).name: options for name, options in self.methods.items()},
            **{f"methods.{name}": options for name, options in self.methods.items()},
            **{name: getattr(self, name) for name in SECTIONS},
        }
        # The longest: a flag may have a dot, as `compute.precision`, and so may a method's file.
        section = max((s for s in sections if path.startswith(f"{s}.")), key=len, default="")
        if not (separator and section):
            raise InputError(
                f"--set {setting}: give section.key=value with a section of "
                f"{', '.join([*SECTIONS, *self.methods])}"
            )
        key = path.removeprefix(f"{section}.")
        check_options({key: value}, section)
        sections[section][key] = value


def read_recipe(path: Path) -> Recipe:
    """Read recipe.yaml; raises InputError, naming the file and the key, for what is no recipe."""
    try:
        content = read_yaml(path)
        return _recipe(content)
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from error


def _recipe(content: Mapping[str, Any]) -> Recipe:
    check_content(content)
    recipe = Recipe(**content)
    recipe.choose_methods(list(recipe.methods))
    return recipe


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`; mappings in them are merged in the same way."""
    both = dict(base)
    for key, value in changes.items():
        own = both.get(key)
        nested = isinstance(own, Mapping) and isinstance(value, Mapping)
        both[key] = merged(own, value) if nested else value  # type: ignore[arg-type]
    return both


@dataclass(frozen=True)
class Command:
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
    """The commands of a recipe for one corpus, model and output folder.

    Attributes:
        folders: where the models of each seed stand, within `out`.
    """

    recipe: Recipe
    model: str
    data: Path
    out: Path
    folders: Mapping[int, Path]
    device: str
    forget: Path | None = None

    @property
    def manifest(self) -> Path:
        return self.out / "manifest.jsonl"

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

    def commands(self) -> list[Command]:
        """Every command of every stage, in order."""
        steps = [self._prepare(), self._divide()]
        for seed in self.folders:
            steps += [
                self._train(3, "original", "retain,forget", seed),
                self._train(4, "retrained", "retain", seed),
            ]
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

    def _prepare(self) -> Command:
        options = dict(self.recipe.prepare)
        module = options.pop("module")
        argv = [module, "--data", str(self.data), "--out", str(self.manifest)]
        for key, value in options.items():
            switch = str(value).lower()
            argv += {"true": [f"--{key}"], "false": []}.get(switch, [f"--{key}", str(value)])
        argv += _must_fit(self.model)
        beside = [self.manifest.with_suffix(".problems.json"), self.manifest.with_name(TRIALS)]
        return Command(1, "data", argv, [self.data], self.manifest, lambda: beside)

    def _divide(self) -> Command:
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
        return Command(2, "split", argv, reads, self.split)

    def _train(self, stage: int, name: str, parts: str, seed: int) -> Command:
        argv = ["train", *self._corpus(), "--model", self.model, "--parts", parts]
        argv += _finetune_flags(self.recipe.finetune)
        source = [Path(self.model)] if Path(self.model).exists() else []
        return self._publish(stage, name, argv, seed, source)

    def _reference_model(self) -> str | None:
        return self.recipe.reference_model.get("model") or None

    def _train_reference_model(self, seed: int) -> Command:
        options = dict(self.recipe.reference_model)
        model = str(options.pop("model"))
        argv = ["train", *self._corpus(), "--model", model, "--parts", "retain"]
        argv += _finetune_flags(options)
        source = [Path(model)] if Path(model).exists() else []
        return self._publish(5, REFERENCE_MODEL, argv, seed, source)

    def _unlearn(self, method: str, seed: int) -> Command:
        original = self.folders[seed] / "original"
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
    ) -> Command:
        folder = self.folders[seed] / name
        argv += ["--out", str(folder), "--seed", str(seed), "--device", self.device]
        title = str(folder.relative_to(self.out))
        return Command(stage, title, argv, [self.manifest, self.split, *sources], folder)

    def _evaluate(self, models: list[Path]) -> Command:
        names = ",".join(str(model.relative_to(self.out)) for model in models)
        results = self.out / "results.json"
        argv = ["evaluate", *self._corpus(), "--models", names, "--corpus", self.recipe.corpus]
        argv += ["--out", str(results), "--device", self.device, *flags(self.recipe.evaluate)]
        if own := [method for method in self.recipe.methods if users_method(method)]:
            argv += ["--method_files", ",".join(own)]
        # Where a corpus has no trials, nothing is read there.
        reads = [self.manifest, self.split, self.manifest.with_name(TRIALS), *models]
        if judge := self.recipe.evaluate.get("judge"):
            reads.append(Path(judge))

        def also() -> list[Path]:
            predicted = [predictions_folder(model, self.out) / TRANSCRIPTS for model in models]
            return [*predicted, *(model / DELETION_RECORD for model in models)]

        return Command(6, "evaluate", argv, reads, results, also)

    def _report(self) -> Command:
        results = self.out / "results.json"
        argv = ["report", "--results", str(results)]
        page = self.out / "report.html"
        return Command(7, "report", argv, [results], page, lambda: [page.with_suffix(".md")])

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
