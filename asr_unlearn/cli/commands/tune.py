"""Search a method's options on forget, retain and unseen utterances only."""

import shlex
from typing import Any

from rich.console import Console

from asr_unlearn.api.tuning import Search, tune
from asr_unlearn.cli.command import Command
from asr_unlearn.cli.tables import trials_table


def show(search: Search) -> None:
    """Print the best trials, and the best one's flags."""
    Console().print(trials_table(search.trials[:10]))
    print(shlex.join(search.flags()))


def as_json(search: Search) -> dict[str, Any]:
    """The best trial's options and flags, and all trials."""
    trials = [{"cost": trial.value, "options": trial.params} for trial in search.trials]
    best = {"method": search.method, "options": search.options, "flags": search.flags()}
    return {**best, "trials": trials}


COMMAND = Command(
    tune,
    "asr-unlearn tune --manifest out/manifest.jsonl --split out/split.json "
    "--model out/original --method neggrad_plus --trials 20 --out out/tune.journal",
    show,
    as_json,
)
