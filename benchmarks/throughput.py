"""Utterances per second and peak memory, by this package and by transformers' Trainer and pipeline.

    python -m benchmarks.throughput --utterances 64 --repeats 3 --json figures.json

Both sides train, and transcribe with, the same model on the same utterances, each in a process of
its own. The two take turns, so that other load on the machine affects them alike; the ratio is the
median of those of the turns. That of CPU seconds varies less on a machine with other work.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio
from asr_unlearn.data.manifest import Utterance, read_manifest, write_manifest
from asr_unlearn.models.loading import model_from_config, save_model, vocabulary_of
from benchmarks.apart import ROOT, Figures, measure_apart, write_figures
from data_prep import an4, librispeech

CONFIG = ROOT / "recipes" / "an4" / "model"
# A longer one does not let Whisper's window be shortened much.
LONGEST = 10.0
WORK = {"train": "fine-tuning", "transcribe": "transcripts"}
SIDES = ("ours", "theirs")
# By work and model: ours / theirs, at least.
TARGETS = {
    ("train", "ctc"): 1.5,
    ("train", "whisper"): 3.0,
    ("transcribe", "ctc"): 3.0,
    ("transcribe", "whisper"): 3.0,
}


@dataclass(frozen=True)
class Comparison:
    """A work on a model folder and a manifest, under the name of the model in the table."""

    work: str
    name: str
    model: str
    manifest: Path
    epochs: int


def drawn(utterances: Iterable[Utterance], longest: float) -> Iterator[Utterance]:
    """Training utterances in a random order that is always the same, with their seconds."""
    listed = sorted((u for u in utterances if u.subset == "train" and u.text), key=lambda u: u.id)
    random.Random(0).shuffle(listed)
    for utterance in listed:
        if not utterance.audio.is_file():
            continue
        seconds = len(load_audio(utterance.audio)) / SAMPLE_RATE
        if seconds <= longest:
            yield replace(utterance, seconds=seconds)


def new_ctc_model(config: Path, manifest: Path, folder: Path) -> str:
    """The folder of a model with random weights, made for the transcripts of the manifest."""
    vocabulary = vocabulary_of(read_manifest(manifest), "ctc")
    save_model(*model_from_config(str(config), vocabulary, seed=0), folder)
    return str(folder)


def measure(comparison: Comparison, side: str) -> Figures:
    """The figures of one side, from a new process.

    Raises:
        RuntimeError: it failed; with the end of its messages.
    """
    words = [comparison.work, side, "--model", comparison.model]
    words += ["--manifest", str(comparison.manifest), "--epochs", str(comparison.epochs)]
    description = f"{comparison.work} {comparison.name}, {side}"
    return measure_apart("benchmarks.throughput_sides", words, description)


def compare(comparison: Comparison, repeats: int, progress: "tqdm[Any] | None" = None) -> Figures:
    """Both sides in turn, `repeats` times: median rates and ratio, highest peak memory.

    Raises:
        RuntimeError: a side failed, or did not process every utterance equally often.
    """
    ids = [u.id for u in read_manifest(comparison.manifest)]
    times = comparison.epochs if comparison.work == "train" else 1
    turns: list[dict[str, Figures]] = []
    for _ in range(repeats):
        turn = {}
        for side in SIDES:
            if progress is not None:
                progress.set_description(f"{comparison.work} {comparison.name}, {side}")
            turn[side] = measure(comparison, side)
            if turn[side].pop("processed") != dict.fromkeys(ids, times):
                raise RuntimeError(f"{side} did not process every utterance {times} times")
            if progress is not None:
                progress.update()
        turns.append(turn)
    ratios, cpu_ratios = (
        [turn["theirs"][name] / turn["ours"][name] for turn in turns]
        for name in ("seconds", "cpu_seconds")
    )
    return {
        "work": comparison.work,
        "model": comparison.name,
        "utterances": len(ids),
        "epochs": times,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "cpu_ratio": statistics.median(cpu_ratios),
        "cpu_ratios": cpu_ratios,
        "target": TARGETS[comparison.work, comparison.name],
        **{side: merged([turn[side] for turn in turns]) for side in SIDES},
    }


def merged(turns: Sequence[Figures]) -> Figures:
    """The median of each figure of a side; of its peak memory the highest."""
    found: Figures = {}
    for name in turns[0]:
        values = [turn[name] for turn in turns if turn[name] is not None]
        of = max if name == "peak_bytes" else statistics.median
        found[name] = of(values) if values else None
    return found


def table(comparisons: Sequence[Figures]) -> str:
    """A Markdown table, one comparison a row."""
    lines = [
        "| work | model | ours, utt/s | theirs, utt/s | ours / theirs | by CPU time "
        "| target | ours, GB | theirs, GB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for found in comparisons:
        rates = [f"{found[side]['utterances_per_second']:.2f}" for side in SIDES]
        peaks = [found[side]["peak_bytes"] for side in SIDES]
        cells = [WORK[found["work"]], found["model"], *rates]
        cells += [f"{found[name]:.2f}" for name in ("ratio", "cpu_ratio")]
        cells.append(f"{found['target']:g}")
        cells += ["" if peak is None else f"{peak / 1e9:.2f}" for peak in peaks]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    shared = Path("..") / "shared"
    parser.add_argument("--data", type=Path, default=shared / "data", help="folder of the corpora")
    whisper = shared / "models" / "whisper-tiny.en"
    parser.add_argument("--model", type=Path, default=whisper, help="folder of a Whisper")
    parser.add_argument("--config", type=Path, default=CONFIG, help="of the CTC model")
    parser.add_argument("--manifest", type=Path, help="utterances for both, in place of --data")
    parser.add_argument("--models", nargs="+", choices=("ctc", "whisper"))
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--utterances", type=int, default=64, help="of each corpus (default 64)")
    parser.add_argument("--epochs", type=int, default=2, help="of fine-tuning (default 2)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of both sides (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


def main() -> None:
    """Run the comparisons; prints a table."""
    options = arguments().parse_args()
    names = options.models or ["ctc", "whisper"]
    comparisons = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            manifest, longest = Path(folder) / f"{name}.jsonl", LONGEST
            if options.manifest:
                scanned: Iterable[Utterance] = read_manifest(options.manifest)
            elif name == "ctc":
                scanned, longest = an4.scan(options.data / "an4"), float("inf")
            else:
                scanned = librispeech.scan(options.data / "LibriSpeech")
            chosen = list(islice(drawn(scanned, longest), options.utterances))
            write_manifest(manifest, chosen)
            model = str(options.model)
            if name == "ctc":
                model = new_ctc_model(options.config, manifest, Path(folder) / "ctc")
            comparisons += [
                Comparison(work, name, model, manifest, options.epochs) for work in options.work
            ]
        with tqdm(total=2 * options.repeats * len(comparisons), unit="process") as progress:
            found = [compare(one, options.repeats, progress) for one in comparisons]
    print(table(found))
    if options.json:
        write_figures(options.json, found)


if __name__ == "__main__":
    main()
