"""A recipe: the content of recipe.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from asr_unlearn.cli.recipe_checks import MAPPINGS, SECTIONS, check_content, check_options
from asr_unlearn.methods import METHODS
from asr_unlearn.methods.registry import find_method
from asr_unlearn.runtime.documents import read_yaml
from asr_unlearn.runtime.errors import InputError


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
        retrained_short: what differs from `finetune` in a second retrained model, such as fewer
            `epochs`: what the cost of unlearning would buy in retraining. None without any.
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
    retrained_short: dict[str, Any] = field(default_factory=dict)
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
