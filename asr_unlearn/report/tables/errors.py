"""How well each part is recognised, and how high its loss is."""

from asr_unlearn.evaluation.results import PARTS
from asr_unlearn.report import wording
from asr_unlearn.report.comparison import Comparison
from asr_unlearn.report.tables.column import Column, by_part, figures, interval, seed_remark
from asr_unlearn.report.tables.table import Cell, Row, Table


def errors(found: Comparison) -> Table | None:
    """The rate by part, and the losses that the stop rule looks at."""
    rate = found.rate
    columns = [
        *by_part(rate.key, rate.heading, wording.percent),
        *by_part("loss", "Loss", wording.number, ("forget", "unseen")),
    ]
    below = f" Below each {rate.name}: 95% interval, bootstrap of speakers."
    caption = f"{seed_remark(found)}{below if len(found.seeds) == 1 else ''}"
    title = f"{rate.heading} and loss"
    return figures(title, f"{caption} Loss: mean over utterances.", columns, found)


def details(found: Comparison) -> list[Table]:
    """CER by part, every loss, and what the models and runs weigh."""
    columns = [
        ("Character error rate", by_part("cer", "CER", wording.percent)),
        ("Loss by part", by_part("loss", "Loss", wording.number)),
        (
            "Steps, memory and size",
            [
                Column("Steps", ("steps",), wording.count),
                Column("Peak memory", ("cost", "peak_bytes"), wording.megabytes),
                Column("Parameters", ("parameters",), wording.count),
            ],
        ),
    ]
    drawn = [figures(title, seed_remark(found), wanted, found) for title, wanted in columns]
    return [table for table in drawn if table is not None]


def each_seed(found: Comparison) -> Table | None:
    """The rate of every single model with its interval; only where there are several seeds."""
    rate = found.rate
    parts = found.parts(rate.key, PARTS)
    if len(found.seeds) < 2 or not parts:
        return None
    rows = []
    for entry in found.entries:
        for model in entry.models:
            cells = [Cell(str(model.seed))]
            for part in parts:
                value = model.figure(rate.key, part)
                cells.append(
                    Cell(wording.MISSING)
                    if value is None
                    else Cell(wording.percent(value), interval(model, rate.key, part), value)
                )
            rows.append(Row(entry.name, tuple(cells)))
    names = (f"{rate.heading} {wording.PART_NAMES[part]}" for part in parts)
    caption = f"Below each {rate.name}: 95% interval, bootstrap of speakers."
    title = f"{rate.heading} of each seed"
    return Table(title, ("Model", "Seed", *names), tuple(rows), caption, of_models=True)
