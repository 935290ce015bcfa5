"""Tables about the data and the runs: split, left-out utterances, speakers, options."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from asr_unlearn.report import wording
from asr_unlearn.report.results import PARTS, Model, Results
from asr_unlearn.report.runs import Run
from asr_unlearn.report.seeds import Entry, Spread
from asr_unlearn.report.tables import Cell, Row, Table, figure_cell

Runs = Mapping[tuple[str, int], Run]


def key(model: Model) -> tuple[str, int]:
    """Names one model among all seeds."""
    return model.name, model.seed


def split(results: Results) -> Table:
    parts = results.record["split"]["parts"]
    rows = tuple(
        Row(
            wording.PART_NAMES[part],
            (
                Cell(wording.count(parts[part]["utterances"]), "", parts[part]["utterances"]),
                Cell(wording.duration(parts[part]["seconds"]), "", parts[part]["seconds"]),
                Cell(wording.count(parts[part]["speakers"]), "", parts[part]["speakers"]),
            ),
        )
        for part in PARTS
        if part in parts
    )
    return Table(
        "Split",
        ("Part", "Utterances", "Speech", "Speakers"),
        rows,
        "Forget: training utterances of the speakers to be forgotten; held-out: theirs that were "
        "never trained on; retain: everyone else's; unseen and test: never trained on.",
    )


def left_out(results: Results) -> Table | None:
    """Why utterances were left out; None where results.json does not say."""
    data = results.record.get("data")
    if not data:
        return None
    reasons = sorted(data["left_out"].items(), key=lambda item: -item[1])
    rows = tuple(
        Row(reason, (Cell(wording.count(number), "", number),)) for reason, number in reasons
    )
    caption = (
        f"{wording.count(data['checked'])} utterances checked, {wording.count(data['kept'])} kept."
    )
    if not rows:
        caption += " None was left out."
    return Table("Left-out utterances", ("Reason", "Utterances"), rows, caption)


def speakers(found: Sequence[Entry], runs: Runs, part: str) -> Table | None:
    """WER of every speaker of a part under every model, pooled over the speaker's utterances."""
    rates: dict[str, dict[str, list[float]]] = {}
    utterances: dict[str, int] = {}
    for entry in found:
        for model in entry.models:
            errors, words, rows = _count_errors(runs[key(model)], part)
            for speaker, number in rows.items():
                utterances[speaker] = max(utterances.get(speaker, 0), number)
            for speaker, total in words.items():
                rate = errors[speaker] / total
                rates.setdefault(speaker, {}).setdefault(entry.name, []).append(rate)
    if not rates:
        return None
    rows_out = []
    for speaker in sorted(rates):
        cells = [Cell(wording.count(utterances[speaker]), "", utterances[speaker])]
        for entry in found:
            values = rates[speaker].get(entry.name)
            cells.append(figure_cell(Spread(tuple(values)) if values else None, wording.percent))
        rows_out.append(Row(speaker, tuple(cells)))
    headings = ("Speaker", "Utterances", *(entry.name for entry in found))
    name = wording.PART_NAMES[part]
    return Table(f"WER of each {name} speaker", headings, tuple(rows_out))


def _count_errors(run: Run, part: str) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Word errors, words and utterances of each speaker; a speaker without words is left out."""
    errors: Counter[str] = Counter()
    words: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for row in run.transcripts:
        if row.part == part and row.words and row.word_errors is not None:
            errors[row.speaker] += row.word_errors
            words[row.speaker] += row.words
            rows[row.speaker] += 1
    return errors, words, rows


def versions(results: Results) -> Table:
    rows = tuple(
        Row(name, (Cell(version),)) for name, version in results.record["versions"].items()
    )
    return Table("Versions", ("Software", "Version"), rows)


def options(found: Sequence[Entry]) -> Table | None:
    """Options of every model, once where its seeds share them."""
    rows = []
    for entry in found:
        texts = dict.fromkeys(
            ", ".join(f"{name} = {_plain(value)}" for name, value in given.items())
            for model in entry.models
            if (given := model.record.get("options"))
        )
        rows += [Row(entry.name, (Cell(text),)) for text in texts]
    if not rows:
        return None
    return Table("Options", ("Model", "Options"), tuple(rows), of_models=True)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
