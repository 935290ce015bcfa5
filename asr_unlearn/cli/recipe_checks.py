"""Checks of the content of recipe.yaml: its keys, and the kind of each value."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, get_args

from asr_unlearn.models.supported import TaskName
from asr_unlearn.runtime.errors import InputError

# Flags of a command each.
SECTIONS = (
    *("prepare", "split", "stop", "reference_model", "finetune", "retrained_short"),
    *("unlearn", "evaluate"),
)
MAPPINGS = (*SECTIONS, "pretrained", "methods", "presets")
TEXTS = ("corpus", "model")
# Flags that the recipe gives itself.
OF_TRAIN = ("manifest", "split", "out", "device", "seed", "parts", "config")
OWN_FLAGS = {
    "prepare": ("data", "out", "config", "alphabet"),
    "split": ("manifest", "out", "forget"),
    "reference_model": OF_TRAIN,
    "finetune": (*OF_TRAIN, "model"),
    "retrained_short": (*OF_TRAIN, "model"),
    "unlearn": ("manifest", "split", "out", "device", "seed", "model", "method", "config"),
    "evaluate": ("manifest", "split", "out", "device", "models", "config"),
}
TASKS = get_args(TaskName)


def check_content(content: Mapping[str, Any], *, preset: bool = False) -> None:
    """Check the content of recipe.yaml, or what one of its presets changes.

    Raises:
        InputError: naming the key: unknown, missing, given by the recipe itself, or of another
            kind than expected.
    """
    if preset and "presets" in content:
        raise InputError("a preset has no presets of its own")
    known = (*TEXTS, *MAPPINGS)
    if unknown := set(content) - set(known):
        raise InputError(f"unknown keys {sorted(unknown)}; known are {', '.join(known)}")
    needed = () if preset else ("corpus", "model", "prepare")
    if missing := [key for key in needed if not content.get(key)]:
        raise InputError(f"missing keys {missing}; every recipe needs them")
    for key in TEXTS:
        if key in content and not (isinstance(content[key], str) and content[key].strip()):
            raise InputError(f"{key} must be a text, found {content[key]!r}")
    for key in MAPPINGS:
        _mapping(content.get(key), key)
    for section in SECTIONS:
        check_options(content.get(section), section)
    _module((content.get("prepare") or {}).get("module"), needed=not preset)
    for method, options in (content.get("methods") or {}).items():
        check_options(_mapping(options, f"methods.{method}"), f"methods.{method}")
    for task, options in (content.get("pretrained") or {}).items():
        if task not in TASKS:
            raise InputError(f"pretrained.{task}: there is no such task; give {', '.join(TASKS)}")
        check_options(
            _mapping(options, f"pretrained.{task}"), f"pretrained.{task}", like="finetune"
        )
    for name, changes in (content.get("presets") or {}).items():
        try:
            check_content(_mapping(changes, f"presets.{name}"), preset=True)
        except InputError as error:
            message = str(error)
            where = f"presets.{name}"
            raise InputError(message if where in message else f"{where}: {message}") from error


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    """`value`, or an empty mapping for null."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must hold key: value lines, found {value!r}")
    for key in value:
        if not isinstance(key, str):
            raise InputError(f"{where}: the key {key!r} is no text; quote it")
    return value


def check_options(options: Mapping[str, Any] | None, section: str, like: str = "") -> None:
    """Check options that become flags.

    Args:
        options: by name.
        section: that they stand in.
        like: the section whose flags they are, where it is another.

    Raises:
        InputError: naming the option: the recipe gives it itself, or it has an impossible value.
    """
    own = OWN_FLAGS.get(like or section, ())
    for key, value in (options or {}).items():
        if key.replace("-", "_") in own:
            raise InputError(f"{section}.{key}: the recipe gives this flag itself; leave it out")
        if section == "reference_model" and key == "model" and value is None:
            continue
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, str | int | float):
                raise InputError(
                    f"{section}.{key} must be a number, a text, true or false, or a list of these, "
                    f"found {value!r}"
                )
            if isinstance(part, int | float) and not abs(part) <= sys.float_info.max:
                raise InputError(f"{section}.{key} must be finite, found {part}")


def _module(module: Any, *, needed: bool) -> None:
    """Check the module of data preparation."""
    if module is None and not needed:
        return
    if not isinstance(module, str) or not module.startswith("data_prep.") or not _is_found(module):
        raise InputError(
            f"prepare.module must be a module of data_prep, such as data_prep.librispeech, "
            f"found {module!r}"
        )


def _is_found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
