"""Experiment trackers: what a run logs goes to one as well, through accelerate's interface."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.launch import launched_share
from asr_unlearn.runtime.provenance import command

TrackerName = Literal["tensorboard", "trackio", "wandb", "mlflow"]
PROJECT = "asr_unlearn"

STEPS = logging.getLogger("asr_unlearn.steps")
"""Gets the rows of metrics.jsonl, as the arguments of its records; nothing prints them."""
STEPS.propagate = False


class Tracker(logging.Handler):
    """A run of an experiment tracker.

    TensorBoard's is OUT.tensorboard beside the output; the others' places are those that they are
    configured for.

    Args:
        name: of the tracker.
        out: what the run writes; the run is called like it.
    """

    def __init__(self, name: TrackerName, out: Path) -> None:
        super().__init__()
        options: dict[TrackerName, dict[str, Any]] = {
            "tensorboard": {
                "run_name": "",
                "logging_dir": out.with_name(f"{out.name}.tensorboard"),
            },
            "trackio": {"run_name": PROJECT, "name": out.name},
            "wandb": {"run_name": PROJECT, "name": out.name},
            "mlflow": {"experiment_name": PROJECT, "run_name": out.name},
        }
        self.name_of_tracker = name
        # Imported here, as it imports torch, which reports do without.
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        # Trackers ask it which process they are in.
        PartialState()
        self._run = LOGGER_TYPE_TO_CLASS[name](**options[name])
        # Standard output is for results.
        with redirect_stdout(sys.stderr):
            self._run.start()
        self._run.store_init_configuration({"command": command()})

    def emit(self, record: logging.LogRecord) -> None:
        """Take a row of metrics.jsonl."""
        if isinstance(record.args, Mapping):
            row: dict[str, Any] = dict(record.args)
            self.figures(row, step=row.pop("step"))

    def figures(self, named: Mapping[str, Any], step: int | None = None) -> None:
        """Log figures, those in nested mappings under names such as wer/forget."""
        self._run.log(dict(_flat(named)), step=step)

    def keep(self, *files: Path) -> None:
        """Keep files with the run; TensorBoard and trackio get the text of Markdown files."""
        for path in files:
            if self.name_of_tracker == "mlflow":
                self._run.log_artifact(str(path))
            elif self.name_of_tracker == "wandb":
                self._run.tracker.save(str(path), base_path=str(path.parent), policy="now")
            elif path.suffix == ".md":
                self._run.log({path.name: path.read_text(encoding="utf-8")})

    def close(self) -> None:
        """End the run."""
        with redirect_stdout(sys.stderr):
            self._run.finish()
        super().close()


def check_tracker(name: TrackerName | None) -> None:
    """Raises InputError if there is no such tracker, or its package is not installed."""
    if name is None:
        return
    if name not in get_args(TrackerName):
        raise InputError(
            f"there is no tracker {name!r}; there are {', '.join(get_args(TrackerName))}"
        )
    if find_spec(name) is None:
        raise InputError(f"--track {name} needs the package {name}: pip install {name}")


@contextmanager
def tracking(name: TrackerName | None, out: Path) -> Iterator[Tracker | None]:
    """Track what happens in the context; None without a tracker, and in other processes than one.

    The name must have passed `check_tracker`.
    """
    if name is None or launched_share().rank:
        yield None
        return
    tracker = Tracker(name, out)
    STEPS.setLevel(logging.DEBUG)
    STEPS.addHandler(tracker)
    try:
        yield tracker
    finally:
        STEPS.removeHandler(tracker)
        STEPS.setLevel(logging.NOTSET)
        tracker.close()


def _flat(named: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in named.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", value
