"""One work of `benchmarks.scale` in a process of its own: prints its figures as JSON.

A folder has the corpus of `scale_corpus`; splits and models are written beside it.
"""

import argparse
import contextlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from asr_unlearn.api.splitting import split
from asr_unlearn.api.training import train
from asr_unlearn.data.batching import epoch_order
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.runtime.memory import peak_memory, reset_peak_memory
from benchmarks.scale_corpus import MANIFEST
from data_prep import check

Figures = dict[str, Any]
Work = Callable[[], object]
CPU = torch.device("cpu")
CONFIG = Path(__file__).resolve().parents[1] / "recipes" / "quickstart" / "model"
SPLIT, MODEL = "split.json", "model"
FORGOTTEN, BATCH, STEPS = 5, 8, 4


def reading(folder: Path) -> Work:
    """Read the manifest."""
    return lambda: read_manifest(folder / MANIFEST)


def preparation(folder: Path) -> Work:
    """Decode and check all recordings; the manifest then has their lengths and digests."""
    checked = folder / "checked.jsonl"

    def work() -> None:
        if check.main([str(folder / MANIFEST), "--out", str(checked), "--strict"]):
            raise RuntimeError(f"{folder}: not all of its recordings can be used")
        checked.replace(folder / MANIFEST)

    return work


def splitting(folder: Path) -> Work:
    """Draw the speakers to forget, and write the split."""
    return lambda: split(folder / MANIFEST, folder / SPLIT, draw=FORGOTTEN)


def planning(folder: Path) -> Work:
    """Plan the batches of an epoch of all utterances, which are read beforehand."""
    utterances = read_manifest(folder / MANIFEST)
    return lambda: epoch_order([u.seconds for u in utterances], BATCH, seed=0, epoch=0)


def training(folder: Path) -> Work:
    """A few steps of a small model, with all that `train` does before and after."""
    lines = len(read_manifest(folder / MANIFEST))
    options = Finetune(epochs=STEPS * BATCH / lines, retain_batch=BATCH)
    files = folder / MANIFEST, folder / SPLIT, CONFIG, folder / MODEL
    return lambda: train(*files, finetune=options, device="cpu")


# The split needs the checked manifest where there is one, and training needs the split.
WORK: dict[str, Callable[[Path], Work]] = {
    "read": reading,
    "prepare": preparation,
    "split": splitting,
    "plan": planning,
    "train": training,
}


def figures_of(name: str, folder: Path) -> Figures:
    """The cost of one work: seconds, and bytes of memory above those before it."""
    work = WORK[name](folder)
    torch.manual_seed(0)
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    began, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = peak_memory(CPU)
    if before is None or peak is None:
        raise RuntimeError("peak memory is known on Linux alone")
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak, "bytes": peak - before}


def main() -> None:
    """Print the figures of one work as a line of JSON."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    flags.add_argument("name", choices=WORK)
    flags.add_argument("folder", type=Path)
    print(json.dumps(figures_of(**vars(flags.parse_args()))))


if __name__ == "__main__":
    main()
