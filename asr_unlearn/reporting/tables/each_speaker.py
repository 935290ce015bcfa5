"""The rate of every speaker of a part under every model."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.comparison import Comparison, Spread
from asr_unlearn.reporting.runs import Run, Runs, key
from asr_unlearn.reporting.tables.build import figure_cell
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def each_speaker(found: Comparison, runs: Runs, part: str) -> Table | None:
    """Pooled over a speaker's utterances, mean over seeds; None where no model has any."""
    rates: dict[str, dict[str, list[float]]] = {}
    utterances: dict[str, int] = {}
    for entry in found.entries:
        for model in entry.models:
            for speaker, counts in _counts(runs[key(model)], part).items():
                utterances[speaker] = max(utterances.get(speaker, 0), len(counts))
                errors, words = map(sum, zip(*counts, strict=True))
                rate = found.rate.of_errors(errors / words)
                rates.setdefault(speaker, {}).setdefault(entry.name, []).append(rate)
    if not rates:
        return None
    cells = {
        speaker: [
            figure_cell(
                Spread(tuple(of[entry.name])) if entry.name in of else None, formats.percent
            )
            for entry in found.entries
        ]
        for speaker, of in sorted(rates.items())
    }
    title = f"{found.rate.heading} of each speaker: {formats.PART_NAMES[part]}"
    names = tuple(entry.name for entry in found.entries)
    # The longer side goes down the page.
    if len(cells) < len(names):
        headings = ("Model", *(f"{speaker} ({utterances[speaker]})" for speaker in cells))
        columns = zip(*cells.values(), strict=True)
        rows = tuple(Row(name, tuple(of)) for name, of in zip(names, columns, strict=True))
        return Table(title, headings, rows, "In brackets: utterances.", of_models=True)
    rows = tuple(
        Row(speaker, (Cell(formats.count(number := utterances[speaker]), "", number), *of))
        for speaker, of in cells.items()
    )
    return Table(title, ("Speaker", "Utterances", *names), rows)


def _counts(run: Run, part: str) -> dict[str, list[tuple[int, int]]]:
    """Errors and words of each speaker's utterances; a speaker without words is left out."""
    counts: dict[str, list[tuple[int, int]]] = {}
    for row in run.predictions:
        if row.part == part and row.length and row.errors is not None:
            counts.setdefault(row.speaker, []).append((row.errors, row.length))
    return counts
