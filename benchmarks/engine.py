"""Time and peak memory of one full unlearning step, by this package's engine and by others.

    python -m benchmarks.engine --model wav2vec2-base --batch 8 --json figures.json

Each variant runs in its own process. Each round runs all variants in turn, so that other load on
the machine affects them alike; a variant's time is its fastest step.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import torch
from tqdm import tqdm

from asr_unlearn.models.tasks.compute import Compute, Precision
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.memory import peak_memory
from benchmarks.apart import write_figures
from benchmarks.problems import PROBLEMS, problem
from benchmarks.variants import VARIANTS

Figures = dict[str, Any]


def measure(variant: str, options: argparse.Namespace) -> Figures:
    """Steps of one variant in this process, after one warm-up step."""
    device = pick_device(options.device)
    compute = Compute(precision=options.precision)
    instance = problem(options.model, options.seconds, device, compute)
    forget, kept = instance.batch(1, options.batch), instance.batch(2, options.retain)
    walls, cpus = [], []
    for _ in range(options.steps + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        VARIANTS[variant](instance, forget, kept)
        if device.type == "cuda":
            torch.cuda.synchronize()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        "variant": variant,
        "model": options.model,
        "batch": options.retain,
        "forget_batch": options.batch,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "precision": options.precision,
        "seconds": min(walls[1:]),
        "cpu_seconds": min(cpus[1:]),
        "first_seconds": walls[0],
        "peak_bytes": peak_memory(device) or 0,
        "threads": torch.get_num_threads(),
    }


def measure_apart(options: argparse.Namespace, variant: str) -> Figures:
    """The same in a new process; has the reason under "error" if the variant does not run."""
    command = [sys.executable, "-m", "benchmarks.engine", "--only", variant]
    for name in ("model", "batch", "retain", "seconds", "steps", "device", "precision"):
        command += [f"--{name}", str(getattr(options, name))]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == 0:
        figures: Figures = json.loads(done.stdout.splitlines()[-1])
        return figures
    reason = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
    return {
        "variant": variant,
        "model": options.model,
        "batch": options.retain,
        "error": reason[-1],
    }


def best(rounds: list[Figures]) -> Figures:
    """The fastest time and the highest memory of one variant."""
    ran = [figures for figures in rounds if "error" not in figures]
    if not ran:
        return rounds[0]
    merged = dict(ran[0])
    for name in ("seconds", "cpu_seconds", "first_seconds"):
        merged[name] = min(figures[name] for figures in ran)
    merged["peak_bytes"] = max(figures["peak_bytes"] for figures in ran)
    return merged


def table(figures: list[Figures]) -> str:
    """A Markdown table, with ratios to NegGrad+ if it was measured."""
    floor = next((f for f in figures if f["variant"] == "neggrad_plus" and "error" not in f), None)
    lines = [
        "| variant | step, s | × | CPU, s | × | peak, GB | × |",
        "|---|---|---|---|---|---|---|",
    ]
    for f in figures:
        if "error" in f:
            lines.append(f"| {f['variant']} | does not run: {f['error'][:120]} | | | | | |")
            continue
        cells = [f["variant"]]
        for name, unit in (("seconds", 1), ("cpu_seconds", 1), ("peak_bytes", 1e9)):
            ratio = f"{f[name] / floor[name]:.2f}" if floor else ""
            cells += [f"{f[name] / unit:.2f}", ratio]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Time and peak memory of one unlearning step.")
    parser.add_argument("--model", choices=PROBLEMS, default="wav2vec2-base")
    parser.add_argument("--batch", type=int, default=8, help="utterances to forget (default 8)")
    parser.add_argument("--retain", type=int, help="utterances to retain (default: as --batch)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of an utterance")
    parser.add_argument("--device", choices=get_args(Device), default="cpu")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32")
    parser.add_argument("--steps", type=int, default=1, help="timed steps in each process")
    parser.add_argument("--rounds", type=int, default=2, help="processes for each variant")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    options = arguments().parse_args()
    options.retain = options.retain or options.batch
    if options.only:
        print(json.dumps(measure(options.only, options)))
        return
    measured: dict[str, list[Figures]] = {variant: [] for variant in options.variants}
    with tqdm(total=options.rounds * len(measured), unit="process") as progress:
        for _ in range(options.rounds):
            for variant, rounds in measured.items():
                progress.set_description(variant)
                rounds.append(measure_apart(options, variant))
                progress.update()
    figures = [best(rounds) for rounds in measured.values()]
    print(
        f"{options.model}, {options.batch} to forget, {options.retain} to retain, "
        f"{options.device}, {options.precision}"
    )
    print(table(figures))
    if options.json:
        write_figures(options.json, figures)


if __name__ == "__main__":
    main()
