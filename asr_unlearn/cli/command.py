"""A subcommand of `asr-unlearn`: a function of the Python API, and how its result is shown."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from asr_unlearn.runtime.launch import launched_share


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        function: its parameters are the flags, its docstring is the help.
        example: for the help.
        show: prints the result.
        json: the result as JSON can write it, for --json; paths are written as text.
        check: raises InputError for a result that is no success, once it is shown.
        in_several_processes: whether `torchrun` may start it.
        positional: whether its required parameters are given without flags.
    """

    function: Callable[..., Any]
    example: str
    show: Callable[[Any], None] = print
    json: Callable[[Any], Any] = asdict
    check: Callable[[Any], None] = lambda result: None
    in_several_processes: bool = False
    positional: bool = False


def print_once(result: Any, file: TextIO | None = None) -> None:
    """Print in the first of several processes, to standard output if no other file is given."""
    if not launched_share().rank:
        print(result, file=file)
