"""Time and peak memory of one step that is orthogonal to a retain pool, for several pool sizes.

    python -m benchmarks.pool --pools 16 500

Each pool has its own process.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

from asr_unlearn.gradients import pool_step
from benchmarks.problems import PROBLEMS, Batch, Problem, problem


class Pool(Sequence[Batch]):
    """Micro-batches that are made when they are indexed, like those of a corpus on disk."""

    def __init__(self, instance: Problem, utterances: int, micro: int) -> None:
        self._instance, self._utterances, self._micro = instance, utterances, micro

    def __len__(self) -> int:
        return -(-self._utterances // self._micro)

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]
        if index >= len(self):
            raise IndexError(index)
        size = min(self._micro, self._utterances - index * self._micro)
        return self._instance.batch(index, size)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """One step in this process."""
    instance = problem(options.model, options.seconds)
    pool = Pool(instance, options.pools[0], options.micro)
    forget = instance.batch(10**6, options.micro)
    start = time.perf_counter()
    step = pool_step(
        instance.model, instance.losses, forget, pool, max_iterations=options.iterations
    )
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "pool": len(step.retain_losses),
        "iterations": step.iterations,
        "residual": step.residual,
        "seconds": time.perf_counter() - start,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of a step against a large retain pool.")
    parser.add_argument("--model", choices=PROBLEMS, default="small")
    parser.add_argument("--pools", type=int, nargs="+", default=[16, 500])
    parser.add_argument("--micro", type=int, default=8, help="utterances in a micro-batch")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of an utterance")
    parser.add_argument("--iterations", type=int, default=10, help="at most so many")
    options = parser.parse_args()
    if len(options.pools) == 1:
        print(json.dumps(measure(options)))
        return
    print("| pool | iterations | residual | seconds | peak, GB |\n|---|---|---|---|---|")
    for pool in options.pools:
        command = [sys.executable, "-m", "benchmarks.pool", "--pools", str(pool)]
        for name in ("model", "micro", "seconds", "iterations"):
            command += [f"--{name}", str(getattr(options, name))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        f = json.loads(done.stdout.splitlines()[-1])
        cells = [str(f["pool"]), str(f["iterations"]), f"{f['residual']:.1e}"]
        cells += [f"{f['seconds']:.1f}", f"{f['peak_bytes'] / 1e9:.3f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
