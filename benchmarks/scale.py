"""Time and memory by the size of a corpus: lines of its manifest, and hours of its audio.

    python -m benchmarks.scale --json figures.json

Each work runs in a process of its own, on synthetic corpora of two sizes. A ratio is that of the
cost of a line at the larger size to that at the smaller one: 1 where the cost is linear.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.apart import Figures, measure_apart, write_figures
from benchmarks.scale_corpus import MEAN_SECONDS, write_corpus
from benchmarks.scale_work import WORK

# Of a corpus whose lines are many: recordings that its lines share.
SHARED = 33
OF_LINES, OF_AUDIO = ("read", "split", "plan", "train"), ("prepare", "split", "train")


@dataclass(frozen=True)
class Size:
    """A corpus of so many lines, each with a recording of its own or one of a few."""

    lines: int
    own: bool

    @property
    def works(self) -> tuple[str, ...]:
        return OF_AUDIO if self.own else OF_LINES

    @property
    def recordings(self) -> int:
        return self.lines if self.own else min(SHARED, self.lines)


def lines_of(hours: float) -> int:
    """Utterances that so many hours of audio have."""
    return round(hours * 3600 / MEAN_SECONDS)


def measure(work: str, folder: Path) -> Figures:
    """The figures of one work, from a new process.

    Raises:
        RuntimeError: it failed; with the end of its messages.
    """
    return measure_apart("benchmarks.scale_work", [work, str(folder)], f"{work} of {folder}")


def measure_corpus(size: Size, parent: Path, progress: "tqdm[Any]") -> list[Figures]:
    """The figures of all works on a corpus of that size, which is removed afterwards."""
    found = []
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name) / "corpus"
        write_corpus(folder, size.lines, size.recordings)
        for work in size.works:
            progress.set_description(f"{work}, {size.lines} lines")
            of = {"work": work, "lines": size.lines, "recordings": size.recordings}
            found.append({**of, **measure(work, folder)})
            progress.update()
    return found


def compared(found: Sequence[Figures]) -> list[tuple[Figures, Figures]]:
    """The figures of each work on its two sizes, the smaller first."""
    pairs = []
    for own in (False, True):
        for work in WORK:
            of = [f for f in found if f["work"] == work and own == (f["recordings"] == f["lines"])]
            pairs += list(pairwise(sorted(of, key=lambda f: f["lines"])))
    return pairs


def ratio(small: float, large: float) -> str:
    """The cost at the larger size by that at the smaller one; nothing where that was none."""
    return f"{large / small:.2f}" if small else ""


def table(found: Sequence[Figures]) -> str:
    """A Markdown table, one work on two sizes a row."""
    lines = [
        "| work | lines | recordings | s | CPU a line, µs | × | MB | bytes a line | × |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for pair in compared(found):
        seconds = [1e6 * f["cpu_seconds"] / f["lines"] for f in pair]
        memory = [f["bytes"] / f["lines"] for f in pair]
        cells = [pair[0]["work"]]
        cells += [" / ".join(f"{f[name]:,}" for f in pair) for name in ("lines", "recordings")]
        cells.append(" / ".join(f"{f['seconds']:.1f}" for f in pair))
        cells += [" / ".join(f"{s:.1f}" for s in seconds), ratio(*seconds)]
        cells.append(" / ".join(f"{f['bytes'] / 1e6:.0f}" for f in pair))
        cells += [" / ".join(f"{m:.0f}" for m in memory), ratio(*memory)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    two: dict[str, Any] = {"nargs": 2, "metavar": ("SMALL", "LARGE")}
    lines, hours = (100_000, 1_000_000), (6.0, 24.0)
    parser.add_argument("--lines", type=int, default=lines, help="of manifests", **two)
    parser.add_argument("--hours", type=float, default=hours, help="of audio", **two)
    parser.add_argument("--folder", type=Path, help="for the corpora (default: the system's)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


def main() -> None:
    """Measure all works on all sizes; prints a table."""
    options = arguments().parse_args()
    sizes = [Size(lines, own=False) for lines in options.lines]
    sizes += [Size(lines_of(hours), own=True) for hours in options.hours]
    found: list[Figures] = []
    with tqdm(total=sum(len(size.works) for size in sizes), unit="process") as progress:
        for size in sizes:
            found += measure_corpus(size, options.folder, progress)
    print(table(found))
    if options.json:
        write_figures(options.json, found)


if __name__ == "__main__":
    main()
