"""Methods on the command line: `--method NAME`, `--method.OPTION VALUE`, and the same in YAML."""

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from asr_unlearn.api.unlearning import DEFAULT_METHOD
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.registry import METHODS, check_options, find_method
from asr_unlearn.runtime.documents import read_yaml

HELP = "--method.help"
YAML = (".yaml", ".yml")
# By the paths of their classes, which YAML may have in place of names.
_NAMES = {f"{method.__module__}.{method.__qualname__}": name for name, method in METHODS.items()}


def add_method_flags(parser: ArgumentParser, parameters: Container[str]) -> None:
    """Add the flags of a function's parameters `method` and `finetune`, which have options."""
    if "method" in parameters:
        parser.add_argument(
            "--method",
            type=Method,
            enable_path=True,
            help=f"name from `asr-unlearn methods` (default: {DEFAULT_METHOD}), or "
            "path/to/file.py:ClassName; --method.help NAME lists its options",
        )
    if "finetune" in parameters:
        # Training forgets nothing.
        unused: set[str | int] = {"project", "sam", "forget_batch"}
        parser.add_class_arguments(Finetune, "finetune", skip=unused)


def with_method_class(words: Sequence[str]) -> list[str]:
    """The arguments of a command with its method as the parser takes it, by the path of its class.

    The default method is added, and files of YAML are read.

    Raises:
        InputError: there is no such method, or it has no such option.
    """
    command, *rest = _without_yaml(words)
    if "--method" not in rest and HELP not in rest:
        rest = ["--method", DEFAULT_METHOD, *rest]
    found = None
    for index, word in enumerate(rest[:-1]):
        name = rest[index + 1]
        if word in ("--method", HELP) and not name.startswith("--"):
            found = find_method(_NAMES.get(name, name))
            rest[index + 1] = f"{found.__module__}.{found.__qualname__}"
    if found is None:
        return [command, *rest]
    if HELP in rest:
        # Help needs nothing else of the command.
        return [command, HELP, f"{found.__module__}.{found.__qualname__}"]
    check_options(found, method_options(rest))
    return [command, *rest]


def method_options(words: Sequence[str]) -> list[str]:
    """The names of a method's options among the flags."""
    flags = (word.partition("=")[0] for word in words)
    return [flag.removeprefix("--method.") for flag in flags if flag.startswith("--method.")]


def _without_yaml(words: Sequence[str]) -> Iterator[str]:
    """The arguments, methods in files of YAML as flags.

    Of a file with all flags its method is left out if the line names one: the options of one method
    must not go over to another.
    """
    named = any(word.partition("=")[0] == "--method" for word in words)
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag not in ("--config", "--method", HELP):
            yield word
            continue
        value = value if equals else next(rest, "")
        if flag == "--config":
            content = read_yaml(Path(value))
            method = content.pop("method", {})
            yield from _flags_of({} if named else method)
            yield from (flag, json.dumps(content))
        elif flag == "--method" and value.endswith(YAML):
            yield from _flags_of(read_yaml(Path(value)))
        else:
            yield from (flag, value) if value else (flag,)


def _flags_of(method: str | Mapping[str, Any]) -> Iterator[str]:
    """`orthograd`, or {class_path: orthograd, init_args: {alpha: 0.3}}, as flags."""
    given: Mapping[str, Any] = {"class_path": method} if isinstance(method, str) else method
    if "class_path" in given:
        yield from ("--method", str(given["class_path"]))
    for name, value in (given.get("init_args") or {}).items():
        yield from (f"--method.{name}", str(value))
