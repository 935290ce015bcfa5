"""The subcommands of `asr-unlearn`: a function of the Python API each, and how it is shown."""

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from asr_unlearn.api.deletion_check import RecordCheck, verify
from asr_unlearn.api.evaluating import evaluate
from asr_unlearn.api.purging import purge
from asr_unlearn.api.reports import Report, report
from asr_unlearn.api.splitting import split
from asr_unlearn.api.training import train
from asr_unlearn.api.tuning import Search, tune
from asr_unlearn.api.unlearning import PublishedModel, unlearn_folder
from asr_unlearn.cli.tables import methods_listing, trials_table
from asr_unlearn.evaluation.evaluate import Evaluation
from asr_unlearn.methods import METHODS, Method
from asr_unlearn.reporting import table
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        function: its parameters are the flags, its docstring is the help.
        example: for the help.
        show: prints the result.
        check: raises InputError for a result that is no success, once it is shown.
        in_several_processes: whether `torchrun` may start it.
        positional: whether its required parameters are given without flags.
    """

    function: Callable[..., Any]
    example: str
    show: Callable[[Any], None] = print
    check: Callable[[Any], None] = lambda result: None
    in_several_processes: bool = False
    positional: bool = False


def list_methods() -> Mapping[str, type[Method]]:
    """List the methods with their papers, the data they need, and their options."""
    return METHODS


def _show_methods(methods: Mapping[str, type[Method]]) -> None:
    Console().print(methods_listing(methods), highlight=False)


def _show_once(result: Any) -> None:
    if not distributed.launched_share().rank:
        print(result)


def _show_unlearned(result: PublishedModel) -> None:
    _show_once(result)
    if distributed.is_first() and result.outcome.warning:
        print(f"{result.folder}: WARNING: {result.outcome.warning}", file=sys.stderr)


def _show_search(search: Search) -> None:
    Console().print(trials_table(search.trials[:10]))
    print(shlex.join(search.flags()))


def _show_evaluation(evaluation: Evaluation) -> None:
    next_command = shlex.join(["asr-unlearn", "report", "--results", str(evaluation.path)])
    _show_once(f"wrote {evaluation.path}; next: {next_command}")


def _show_report(written: Report) -> None:
    Console().print(table(written.results))
    print(f"{written.markdown}\n{written.html}")


def _check_record(check: RecordCheck) -> None:
    if check.changed:
        created = check.record["created"]
        raise InputError(
            f"{check.model} is not as recorded on {created}: {'; '.join(check.changed)}"
        )


COMMANDS = {
    "split": Command(
        split,
        "asr-unlearn split --manifest out/manifest.jsonl --forget forget.txt --out out/split.json",
    ),
    "train": Command(
        train,
        "asr-unlearn train --manifest out/manifest.jsonl --split out/split.json "
        "--model facebook/wav2vec2-base --parts retain --out out/retrained "
        "--finetune.epochs 20 --finetune.lr 1e-4",
        _show_once,
        in_several_processes=True,
    ),
    "unlearn": Command(
        unlearn_folder,
        "asr-unlearn unlearn --manifest out/manifest.jsonl --split out/split.json "
        "--model out/original --method orthograd --method.alpha 0.3 --out out/orthograd",
        _show_unlearned,
        in_several_processes=True,
    ),
    "tune": Command(
        tune,
        "asr-unlearn tune --manifest out/manifest.jsonl --split out/split.json "
        "--model out/original --method neggrad_plus --trials 20 --out out/tune.journal",
        _show_search,
    ),
    "evaluate": Command(
        evaluate,
        "asr-unlearn evaluate --manifest out/manifest.jsonl --split out/split.json "
        "--models original,retrained,orthograd --out out/results.json",
        _show_evaluation,
        in_several_processes=True,
    ),
    "report": Command(report, "asr-unlearn report --results out/results.json", _show_report),
    "verify": Command(
        verify, "asr-unlearn verify --model out/orthograd_tau --full true", check=_check_record
    ),
    "purge": Command(purge, "asr-unlearn purge out", positional=True),
    "methods": Command(list_methods, "asr-unlearn methods", _show_methods),
}
