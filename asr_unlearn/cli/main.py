"""The command `asr-unlearn`: reads the arguments, calls a function and prints its result."""

import inspect
import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from asr_unlearn.api.unlearning import DEFAULT_METHOD
from asr_unlearn.cli import prepare
from asr_unlearn.cli.as_json import JSON, JSON_HELP, as_json
from asr_unlearn.cli.commands import COMMANDS
from asr_unlearn.cli.method_flags import method_options, with_method_class
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.method import Method
from asr_unlearn.runtime import distributed, program
from asr_unlearn.runtime.device import pick_device
from asr_unlearn.runtime.documents import MOST_DIGITS
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_apart
from asr_unlearn.runtime.provenance import recorded_command
from asr_unlearn.runtime.text import did_you_mean, one_line, plain_argument_error, printable
from asr_unlearn.runtime.version import __version__

# Where shtab is installed, --print_completion writes a shell's completion.
set_parsing_settings(add_print_completion_argument=True)


class Parser(ArgumentParser):
    """Says what is wrong with the arguments in one line, without all flags there are."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End with status 2, as argparse does."""
        called = self.prog.replace(" [options]", "")
        text = re.sub(r"(arguments are required: )(.+)", _as_flags, plain_argument_error(message))
        if unknown := re.match(r"unrecognized arguments: (--[\w.]+)", text):
            flags = [f"--{action.dest}" for action in self._actions if action.option_strings]
            text += did_you_mean(unknown[1], flags)
        print(one_line(f"{called}: {text}; {called} --help lists the flags"), file=sys.stderr)
        sys.exit(2)


def _as_flags(required: re.Match[str]) -> str:
    """Names such as `train.split`, as jsonargparse calls what is missing, as they are given."""
    names = [name.rpartition(".") for name in required[2].split(", ")]
    without_flags = {name for name, command in COMMANDS.items() if command.positional}
    return required[1] + ", ".join(
        name.upper() if command in without_flags else f"--{name}" for command, _, name in names
    )


@cache
def command_parser() -> Parser:
    """One subcommand for each of `COMMANDS`."""
    parser = Parser(
        prog="asr-unlearn",
        description="Make a speech recogniser forget chosen speakers, and prove how well it did.",
        version=__version__,
    )
    # `main` takes it from anywhere on the line; here it is for the help.
    parser.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
    subcommands = parser.add_subcommands()
    for name, command in COMMANDS.items():
        summary = (inspect.getdoc(command.function) or "").partition("\n\n")[0]
        subparser = Parser(description=summary, epilog=f"example: {command.example}")
        # Their options are flags of their own: --method.alpha, --finetune.lr.
        parameters = inspect.signature(command.function).parameters
        skipped: set[str | int] = {
            n for n in parameters if n in ("method", "finetune", "fixed", "options")
        }
        subparser.add_function_arguments(
            command.function, as_group=False, as_positional=command.positional, skip=skipped
        )
        if "method" in parameters:
            subparser.add_argument(
                "--method",
                type=Method,
                enable_path=True,
                help=f"name from `asr-unlearn methods` (default: {DEFAULT_METHOD}), or "
                "path/to/file.py:ClassName; --method.help NAME lists its options",
            )
        if "finetune" in parameters:
            # Training forgets nothing.
            unused = {"project", "sam", "forget_batch"}
            subparser.add_class_arguments(Finetune, "finetune", skip=unused)
        subparser.add_argument(
            "--config", action="config", help="YAML file with any of these flags"
        )
        subparser.add_argument(JSON, action="store_true", help=JSON_HELP)
        subparser.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
        subcommands.add_subcommand(name, subparser, help=summary)
    # For the help: `main` hands it to the programs of data_prep.
    subcommands.add_subcommand(prepare.NAME, Parser(), help=prepare.SUMMARY)
    return parser


def _check_processes(name: str) -> None:
    """Raises InputError where torchrun has started a command that one process must do alone."""
    if distributed.launched() and not COMMANDS[name].in_several_processes:
        several = [other for other, command in COMMANDS.items() if command.in_several_processes]
        raise InputError(
            f"{name} works in one process, without torchrun; several can share {', '.join(several)}"
        )


def _normalised(arguments: Sequence[str]) -> list[str]:
    """Arguments as the parser takes them: underscores in flags, methods by their classes."""
    words = [_with_underscores(word) for word in arguments]
    function = COMMANDS[words[0]].function if words and words[0] in COMMANDS else None
    if function is None or "method" not in inspect.signature(function).parameters:
        return words
    return with_method_class(words)


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
    parser = command_parser()
    _check_numbers(arguments)
    words = _normalised(arguments)
    parsed = parser.parse_args(words)
    options = parser.instantiate(parsed)[parsed.subcommand].as_dict()
    for name in ("config", "debug", "json"):
        options.pop(name, None)
    if "fixed" in inspect.signature(COMMANDS[parsed.subcommand].function).parameters:
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
    if arguments is None and given[:1] == [prepare.NAME]:
        sys.exit(program.run_program("asr-unlearn", lambda: prepare.prepare(given[1:])))
    if arguments is not None:
        _run(given)
    elif status := program.run_program("asr-unlearn", lambda: _run(given), debug=debug):
        sys.exit(status)


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
    command = COMMANDS[name]
    with recorded_command(["asr-unlearn", *given]):
        _check_processes(name)
        # A GPU that is not there is reported before anything is read.
        if "device" in options:
            pick_device(options["device"])
        if "out" in options:
            check_apart(Path(options["out"]), _files_of_flags(given))
        result = command.function(**options)
        if JSON not in given:
            command.show(result)
        elif not distributed.launched_share().rank:
            print(json.dumps(as_json(result), default=str))
        command.check(result)
        distributed.leave()
