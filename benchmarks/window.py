"""What a shorter encoder window saves: one training step of a Whisper in either window.

    python -m benchmarks.window --model ../shared/models/whisper-tiny.en --seconds 10

Steps of both windows take turns, on the same utterances of noise, so that whatever else the machine
does falls on both alike; a window's time is its fastest step. Target: at least 3 times as fast.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from asr_unlearn.data.batching import Batch, collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import load_model
from asr_unlearn.models.tasks import Task, task_for
from asr_unlearn.models.tasks.window import set_window

SAMPLE_RATE = 16_000
WORDS = "the quick brown fox jumps over the lazy dog "


def noise(task: Task, seconds: float, size: int) -> Batch:
    """A batch of `size` utterances of half of `seconds` up to all of them, as texts as long."""
    rng = np.random.default_rng(0)
    lengths = np.linspace(seconds / 2, seconds, size)
    utterances = [
        Utterance(
            id=str(number),
            audio=Path("noise"),
            speaker="s",
            seconds=float(length),
            # Some fifteen characters a second, as in read speech.
            text=(WORDS * size)[: int(15 * length)].strip(),
        )
        for number, length in enumerate(lengths)
    ]

    def load(utterance: Utterance) -> np.ndarray:
        samples = int(utterance.seconds * SAMPLE_RATE)
        return 0.1 * rng.standard_normal(samples).astype(np.float32)

    return collate([Inputs(task, load=load)(u) for u in utterances])


def main() -> None:
    """Print seconds of a step in either window, and their ratio, as JSON."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    flags.add_argument("--model", required=True, help="folder or name of a Whisper")
    flags.add_argument("--seconds", type=float, default=10, help="of the longest utterance")
    flags.add_argument("--batch", type=int, default=16)
    flags.add_argument("--steps", type=int, default=2, help="of each window, after one to warm up")
    options = flags.parse_args()
    task = task_for(*load_model(options.model))
    task.freeze_front_end()
    task.model.train()
    optimizer = torch.optim.AdamW([p for p in task.model.parameters() if p.requires_grad], lr=1e-5)
    batch = noise(task, options.seconds, options.batch)
    own = set_window(task, "full", ())
    assert own is not None
    times: dict[float, list[float]] = {own: [], options.seconds: []}
    for _ in range(options.steps + 1):
        for window, taken in times.items():
            set_window(task, window, ())
            began = time.perf_counter()
            task.losses(batch).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            taken.append(time.perf_counter() - began)
    fastest = {f"{window:g} s": min(taken[1:]) for window, taken in times.items()}
    whole, short = fastest.values()
    print(json.dumps({"seconds a step": fastest, "times as fast": whole / short}, indent=2))


if __name__ == "__main__":
    main()
