"""Runs the trainings of a recipe side by side, each as soon as what it reads is there."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path

from asr_unlearn.cli import main as command_line
from asr_unlearn.cli.plan import RecipeStep
from asr_unlearn.cli.stages import begin, end, title
from asr_unlearn.runtime.runner import LoggedCall, Runner

LOGS = "logs"


def dependencies(steps: Sequence[RecipeStep]) -> dict[int, set[int]]:
    """For the number of each command those of the others whose outputs it reads."""
    makers = {step.leaves: number for number, step in enumerate(steps)}
    return {
        number: {makers[path] for path in step.reads if path in makers}
        for number, step in enumerate(steps)
    }


def run_side_by_side(steps: Sequence[RecipeStep], out: Path, runner: Runner) -> None:
    """Run commands in other processes; those that are complete are skipped.

    Args:
        steps: the commands.
        out: folder of the recipe's output; what they print goes to files in its folder "logs".
        runner: where they run.

    Raises:
        AsrUnlearnError: of the first command that fails, whose output has been named.
    """
    order = TopologicalSorter(dependencies(steps))
    order.prepare()
    ready: deque[int] = deque()
    free = deque(runner.gpu_of_each)
    running: dict[Future[None], tuple[int, LoggedCall[None], float]] = {}
    with runner.start() as submit:
        while order.is_active():
            ready.extend(order.get_ready())
            while ready and (runner.workers is None or len(running) < runner.workers):
                number = ready.popleft()
                if not begin(steps[number], out):
                    order.done(number)
                    continue
                call = LoggedCall(
                    call=partial(command_line.main, steps[number].argv),
                    log=out / LOGS / f"{steps[number].name.replace('/', '-')}.log",
                    folder=Path.cwd(),
                    threads=runner.threads,
                    gpu=free.popleft() if free else None,
                )
                running[submit(call)] = number, call, time.monotonic()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                number, call, began = running.pop(future)
                if future.exception() is not None:
                    print(f"{title(steps[number])} failed; see {call.log}", flush=True)
                future.result()
                end(steps[number], out, time.monotonic() - began)
                order.done(number)
                if call.gpu is not None:
                    free.append(call.gpu)
