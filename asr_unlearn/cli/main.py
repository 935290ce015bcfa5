"""The command `asr-unlearn`: reads the arguments, calls a function and prints its result."""

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

from asr_unlearn.cli import commands, prepare
from asr_unlearn.cli.parser import JSON, command_parser
from asr_unlearn.runtime import program
from asr_unlearn.runtime.documents import MOST_DIGITS
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.launch import launched, launched_share
from asr_unlearn.runtime.outputs import check_apart
from asr_unlearn.runtime.provenance import recorded_command
from asr_unlearn.runtime.text import printable


def _check_processes(name: str) -> None:
    """Raises InputError where torchrun has started a command that one process must do alone."""
    if launched() and not commands.load(name).in_several_processes:
        several = [each for each in commands.NAMES if commands.load(each).in_several_processes]
        raise InputError(
            f"{name} works in one process, without torchrun; several can share {', '.join(several)}"
        )


def _check_numbers(arguments: Sequence[str]) -> None:
    """Raises InputError for a number that no float holds, which parsers fail on."""
    flag = "argument"
    for word in arguments:
        name, _, value = word.partition("=") if word.startswith("--") else ("", "", word)
        flag = name or flag
        digits = value.lstrip("+-")
        if digits.isdecimal() and len(digits) > MOST_DIGITS:
            raise InputError(f"{flag}: a number of {len(digits)} digits is too large")


def _with_underscores(word: str) -> str:
    flag, equals, value = word.partition("=")
    return f"--{flag[2:].replace('-', '_')}{equals}{value}" if flag.startswith("--") else word


def understood(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The name of the command and its options.

    Raises:
        SystemExit: there is no such command or flag, which has been printed.
        InputError: a value out of range.
    """
    _check_numbers(arguments)
    words = [_with_underscores(word) for word in arguments]
    command = commands.named_by(words)
    parameters = signature(command.function).parameters if command else {}
    if "method" in parameters:
        # It loads all methods.
        from asr_unlearn.cli.method_flags import method_options, with_method_class

        words = with_method_class(words)
    parser = command_parser(words)
    if not words:
        parser.error(f"no command; there are {', '.join((*commands.NAMES, prepare.NAME))}")
    parsed = parser.parse_args(words)
    options = parser.instantiate(parsed)[parsed.subcommand].as_dict()
    for name in ("config", "debug", "json"):
        options.pop(name, None)
    if "fixed" in parameters:
        options["fixed"] = tuple(method_options(words))
    return parsed.subcommand, options


def _files_of_flags(words: Sequence[str]) -> Iterator[Path]:
    """The files that flags are read from."""
    for word, following in pairwise([*words, ""]):
        flag, equals, value = word.partition("=")
        if flag in ("--config", "--method"):
            yield Path(value if equals else following)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; called with `arguments`, by a recipe for instance, it raises errors.

    As a program it ends with one line and status 1 where the request cannot be met.
    """
    given, debug = program.without_debug(sys.argv[1:] if arguments is None else arguments)
    log_to_stderr()
    if arguments is not None:
        _run(given)
    elif status := _as_program(given, debug=debug):
        sys.exit(status)


def _as_program(given: Sequence[str], *, debug: bool) -> int:
    name = "asr-unlearn"
    if given[:1] == [prepare.NAME]:
        return program.run_program(name, lambda: prepare.prepare(given[1:]))
    status = program.reported(name, lambda: _import(given), debug=debug)
    return status or program.run_program(name, lambda: _run(given), debug=debug)


def _import(given: Sequence[str]) -> None:
    """Import what a command needs while signals still end the program at once.

    An import does not survive a signal that is raised as an error in it.
    """
    command_parser(given)


def log_to_stderr() -> None:
    """Show messages of this package, as plain text; once, however often it is called."""
    logger = logging.getLogger("asr_unlearn")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        logger.addHandler(_StandardError())


class _StandardError(logging.Handler):
    """Prints to what sys.stderr is by then."""

    def emit(self, record: logging.LogRecord) -> None:
        print(printable(self.format(record)), file=sys.stderr)


def _run(given: Sequence[str]) -> None:
    name, options = understood(given)
    command = commands.load(name)
    with recorded_command(["asr-unlearn", *given]):
        _check_processes(name)
        # A GPU that is not there is reported before anything is read.
        if "device" in options:
            from asr_unlearn.runtime.device import pick_device

            pick_device(options["device"])
        if "out" in options:
            check_apart(Path(options["out"]), _files_of_flags(given))
        result = command.function(**options)
        if JSON not in given:
            command.show(result)
        elif not launched_share().rank:
            print(json.dumps(command.json(result), default=str))
        command.check(result)
        if launched():
            from asr_unlearn.runtime import distributed

            distributed.leave()
