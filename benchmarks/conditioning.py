"""The cost of near-duplicate retain utterances: a step on them, and one on utterances that differ.

    python -m benchmarks.conditioning --model small --rounds 5

Both steps are taken in turn in one process, so that other load on the machine affects them alike;
the ratio of the fastest of each is reported. `check` is the time of the test whether the Gram
matrix is ill-conditioned, which every step includes, as a share of the step.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from asr_unlearn.gradients import streaming_step, trainable_parameters, weighted_gradient
from asr_unlearn.gradients.projection import needs_float64
from benchmarks.problems import PROBLEMS, Batch, problem


def with_near_duplicate(batch: Batch, distance: float) -> Batch:
    """The same batch with its second utterance replaced by the first with a little noise."""
    inputs, labels, lengths = (v.clone() for v in (batch.inputs, batch.labels, batch.lengths))
    inputs[1] = inputs[0] + distance * torch.randn_like(inputs[0])
    labels[1], lengths[1] = labels[0], lengths[0]
    return replace(batch, inputs=inputs, labels=labels, lengths=lengths)


def fastest(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The fastest time of each call in seconds; all calls in turn, after one warm-up round."""
    seconds = dict.fromkeys(calls, float("inf"))
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number:
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of near-duplicate retain utterances.")
    parser.add_argument("--model", choices=PROBLEMS, default="small")
    parser.add_argument("--batch", type=int, default=8, help="utterances to forget, and to retain")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of an utterance")
    parser.add_argument("--distance", type=float, default=1e-4, help="of the near-duplicates")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    instance = problem(options.model, options.seconds)
    model, losses = instance.model, instance.losses
    forget, plain = instance.batch(1, options.batch), instance.batch(2, options.batch)
    alike = with_near_duplicate(plain, options.distance)
    rows = torch.randn(options.batch, 4 * options.batch, dtype=torch.float64)

    def floor() -> None:
        for batch in (forget, plain):
            weighted_gradient(model, losses, batch)

    calls = {
        "neggrad_plus": floor,
        "streaming": lambda: streaming_step(model, losses, forget, plain),
        "streaming, near-duplicates": lambda: streaming_step(model, losses, forget, alike),
        "check": lambda: needs_float64(rows @ rows.T),
    }
    seconds = fastest(calls, options.rounds)
    numbers = sum(p.numel() for p in trainable_parameters(model).values())
    print(f"{options.model}, {numbers / 1e6:.1f} M parameters, batches of {options.batch}")
    print("| | seconds | of streaming |\n|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.4f} | {value / seconds['streaming']:.4f} |")


if __name__ == "__main__":
    main()
