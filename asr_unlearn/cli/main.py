"""The command `asr-unlearn`: a subcommand for each function of `commands`."""

import inspect
import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

import asr_unlearn
from asr_unlearn.cli.commands import evaluate, methods, report, split, train, tune, unlearn, verify
from asr_unlearn.runtime import distributed, program
from asr_unlearn.runtime.device import pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.provenance import recorded_command

# The others would do the same work in each process, and write the same files.
IN_SEVERAL_PROCESSES = ("train", "unlearn")
COMMANDS = {
    command.__name__: command
    for command in (split, train, unlearn, tune, evaluate, report, verify, methods)
}


class Parser(ArgumentParser):
    """Says what is wrong with the arguments in one line, without all flags there are."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End with status 2, as argparse does."""
        called = self.prog.replace(" [options]", "")
        said = re.sub(r"(arguments are required: )(.+)", _as_flags, " ".join(message.split()))
        print(f"{called}: {said}; {called} --help lists the flags", file=sys.stderr)
        sys.exit(2)


def _as_flags(required: re.Match[str]) -> str:
    """Names such as `train.split`, as jsonargparse calls what is missing, as flags."""
    names = [name.rpartition(".")[2] for name in required[2].split(", ")]
    return required[1] + ", ".join(f"--{name}" for name in names)


@cache
def command_parser() -> Parser:
    """One subcommand a function; the docstring's example closes its help."""
    parser = Parser(prog="asr-unlearn", description=asr_unlearn.__doc__)
    # `main` takes it from anywhere on the line; here it is for the help.
    parser.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
    subcommands = parser.add_subcommands()
    for name, function in COMMANDS.items():
        summary, _, rest = (inspect.getdoc(function) or "").partition("\n\nExample: ")
        example = " ".join(rest.split("\n\n")[0].split())
        subparser = Parser(description=summary, epilog=f"example: {example}")
        subparser.add_function_arguments(function, as_group=False)
        subparser.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
        subcommands.add_subcommand(name, subparser, help=summary)
    return parser


def _check_processes(command: str) -> None:
    """Raises ValueError where torchrun has started a command that one process must do alone."""
    if distributed.launched() and command not in IN_SEVERAL_PROCESSES:
        raise InputError(
            f"{command} works in one process, without torchrun; "
            f"several can share {' and '.join(IN_SEVERAL_PROCESSES)}"
        )


def spelled(arguments: Sequence[str]) -> list[str]:
    """Arguments as the parser knows them: underscores within flags, and all `--set` as one."""
    words, settings = [], []
    rest = iter(arguments)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag == "--set" and (equals or (value := next(rest, ""))):
            settings.append(value)
        elif flag.startswith("--"):
            words.append(f"--{flag[2:].replace('-', '_')}{equals}{value}")
        else:
            words.append(word)
    return [*words, "--set", ",".join(settings)] if settings else words


def understood(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The name of the command and its options.

    Raises:
        SystemExit: there is no such command or flag, which has been printed.
        ValueError: a value out of range.
    """
    parser = command_parser()
    parsed = parser.parse_args(spelled(arguments))
    options = parser.instantiate_classes(parsed)[parsed.subcommand].as_dict()
    for name in ("config", "debug"):
        options.pop(name, None)
    return parsed.subcommand, options


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out one command; called with `arguments`, by a recipe for instance, it raises errors.

    As a program it ends with one line and status 1 where the request cannot be met.
    """
    given, debug = program.without_debug(sys.argv[1:] if arguments is None else arguments)
    if arguments is not None:
        _run(given)
    elif status := program.run_program("asr-unlearn", lambda: _run(given), debug=debug):
        sys.exit(status)


def _run(given: Sequence[str]) -> None:
    command, options = understood(given)
    with recorded_command(["asr-unlearn", *given]):
        _check_processes(command)
        # A GPU that is not there is said before anything is read.
        if "device" in options:
            pick_device(options["device"])
        COMMANDS[command](**options)
        distributed.leave()
