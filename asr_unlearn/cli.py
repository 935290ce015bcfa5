"""The command `asr-unlearn`: a subcommand for each function of `commands`."""

import inspect
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

import asr_unlearn
from asr_unlearn import processes
from asr_unlearn.commands import evaluate, methods, report, split, train, tune, unlearn, verify
from asr_unlearn.device import pick_device
from asr_unlearn.errors import AsrUnlearnError, InputError
from asr_unlearn.run import carrying_out

# The others would do the same work in each process, and write the same files.
IN_SEVERAL_PROCESSES = ("train", "unlearn")
COMMANDS = {
    command.__name__: command
    for command in (split, train, unlearn, tune, evaluate, report, verify, methods)
}


@cache
def command_parser() -> ArgumentParser:
    """One subcommand a function; the docstring's example closes its help."""
    parser = ArgumentParser(prog="asr-unlearn", description=asr_unlearn.__doc__)
    subcommands = parser.add_subcommands()
    for name, function in COMMANDS.items():
        summary, _, rest = (inspect.getdoc(function) or "").partition("\n\nExample: ")
        example = " ".join(rest.split("\n\n")[0].split())
        subparser = ArgumentParser(description=summary, epilog=f"example: {example}")
        subparser.add_function_arguments(function, as_group=False)
        subcommands.add_subcommand(name, subparser, help=summary)
    return parser


def _check_processes(command: str) -> None:
    """Raises ValueError where torchrun has started a command that one process must do alone."""
    if processes.launched() and command not in IN_SEVERAL_PROCESSES:
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
    options.pop("config", None)
    return parsed.subcommand, options


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out one command; a request that cannot be met ends with its reason and status 1.

    Called with `arguments`, by a recipe for instance, it raises the reason.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command, options = understood(given)
        with carrying_out(["asr-unlearn", *given]):
            _check_processes(command)
            # A GPU that is not there is said before anything is read.
            if "device" in options:
                pick_device(options["device"])
            COMMANDS[command](**options)
            processes.leave()
    except (AsrUnlearnError, OSError) as error:
        if arguments is not None:
            raise
        sys.exit(f"asr-unlearn: {error}")
    except KeyboardInterrupt:
        if arguments is not None:
            raise
        interrupted("asr-unlearn")


def interrupted(program: str) -> NoReturn:
    """End as a shell expects of what Ctrl-C has ended."""
    print(
        f"\n{program}: interrupted; the same command goes on from its last checkpoint",
        file=sys.stderr,
    )
    sys.exit(130)
