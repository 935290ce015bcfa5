"""The parser of `asr-unlearn`: a command's flags are the parameters of its function."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from inspect import signature
from typing import NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from asr_unlearn.cli import commands, prepare
from asr_unlearn.runtime import program
from asr_unlearn.runtime.text import did_you_mean, one_line, plain_argument_error
from asr_unlearn.runtime.version import __version__

JSON = "--json"
COMPLETION = "--print_completion"
# Parameters whose options are flags of their own: --method.alpha, --finetune.lr.
METHOD_PARAMETERS = ("method", "finetune")
# Parameters without flags: `main` fills in the first, and Python alone has the second.
WITHOUT_FLAGS = ("fixed", "options")

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
    without_flags = {c for c, _, _ in names if c in commands.NAMES and commands.load(c).positional}
    return required[1] + ", ".join(
        name.upper() if command in without_flags else f"--{name}" for command, _, name in names
    )


def command_parser(words: Sequence[str]) -> Parser:
    """The parser for these arguments: it knows the flags of the command that they name.

    Of the other commands it knows the summaries; to write a shell's completion it knows all.
    """
    if any(word.startswith(COMPLETION) for word in words):
        return parser_of(commands.NAMES)
    return parser_of(tuple(name for name in commands.NAMES if name in words[:1]))


@cache
def parser_of(names: tuple[str, ...]) -> Parser:
    """A parser with the flags of these commands."""
    parser = Parser(
        prog="asr-unlearn",
        description="Make a speech recogniser forget chosen speakers, and prove how well it did.",
        version=__version__,
    )
    # `main` takes it from anywhere on the line; here it is for the help.
    parser.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
    subcommands = parser.add_subcommands()
    for name in commands.NAMES:
        about = commands.summary(name)
        own = _flags_of(name, about) if name in names else Parser()
        subcommands.add_subcommand(name, own, help=about)
    # For the help: `main` hands it to the programs of data_prep.
    subcommands.add_subcommand(prepare.NAME, Parser(), help=prepare.SUMMARY)
    return parser


def _flags_of(name: str, about: str) -> Parser:
    command = commands.load(name)
    parser = Parser(description=about, epilog=f"example: {command.example}")
    parameters = signature(command.function).parameters
    skipped: set[str | int] = {n for n in parameters if n in (*METHOD_PARAMETERS, *WITHOUT_FLAGS)}
    parser.add_function_arguments(
        command.function, as_group=False, as_positional=command.positional, skip=skipped
    )
    if skipped & set(METHOD_PARAMETERS):
        # It loads all methods.
        from asr_unlearn.cli.method_flags import add_method_flags

        add_method_flags(parser, parameters)
    parser.add_argument("--config", action="config", help="YAML file with any of these flags")
    parser.add_argument(JSON, action="store_true", help="print the result as JSON, for scripts")
    parser.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
    return parser
