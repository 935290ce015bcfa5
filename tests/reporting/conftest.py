"""A results.json with run folders beside it, made up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.made_up_runs import set_task, write_run

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`make_run(models, seeds)` -> path of a results.json with its run folders beside it."""

    def make(
        models: Sequence[str] = ("original", "retrained", "orthograd_tau"),
        seeds: Sequence[int] = (0,),
        folder: Path = tmp_path,
        texts: Sequence[str] = (),
        task: str | None = None,
    ) -> Path:
        path = write_run(folder, models, seeds, texts)
        if task is not None:
            set_task(path, task)
        return path

    return make
