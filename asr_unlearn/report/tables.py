"""The report's tables, free of any markup; Markdown, HTML and the terminal draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_unlearn.report import wording
from asr_unlearn.report.results import PARTS, Model
from asr_unlearn.report.seeds import RETRAINED, Entry, Spread, no_difference, seeds
from asr_unlearn.report.wording import Form


@dataclass(frozen=True, slots=True)
class Cell:
    """What a reader sees, a remark below it, and the exact figure behind it."""

    text: str
    detail: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`of_models`: each row is a model, so that it can wear the model's colour."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    of_models: bool = False

    def holds_figures(self, column: int) -> bool:
        """Whether a column (the first after the labels is 1) is one of numbers."""
        return column > 0 and any(row.cells[column - 1].value is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures: its heading, where the figures stand, and how they are written."""

    heading: str
    keys: tuple[str, ...]
    form: Form


def figure_cell(found: Spread | None, form: Form, detail: str = "") -> Cell:
    if found is None:
        return Cell(wording.MISSING)
    return Cell(form.spread(found), detail, found.mean)


def _present(columns: Sequence[Column], found: Sequence[Entry]) -> list[Column]:
    """A column that no model has a figure for would only be dashes."""
    return [column for column in columns if any(entry.spread(*column.keys) for entry in found)]


def _remark(entry: Entry, spread: Spread | None, column: Column) -> str:
    """The 95% interval of one seed, or how many of the seeds have the figure."""
    if spread is None:
        return ""
    if len(spread.values) < len(entry.models):
        return f"{len(spread.values)} of {len(entry.models)} seeds"
    if len(entry.models) > 1 or len(column.keys) != 2:
        return ""
    return interval(entry.models[0], *column.keys, column.form)


def interval(model: Model, metric: str, part: str, form: Form = wording.percent) -> str:
    bounds = model.interval(metric, part)
    return f"{form(bounds[0])} to {form(bounds[1])}" if bounds else ""


def by_part(metric: str, heading: str, form: Form, parts: Sequence[str] = PARTS) -> list[Column]:
    return [Column(f"{heading} {wording.PART_NAMES[part]}", (metric, part), form) for part in parts]


def figures(
    title: str, caption: str, columns: Sequence[Column], found: Sequence[Entry]
) -> Table | None:
    columns = _present(columns, found)
    if not columns:
        return None
    rows = []
    for entry in found:
        rows.append(Row(entry.name, tuple(_cell(entry, column) for column in columns)))
    headings = ("Model", *(column.heading for column in columns))
    return Table(title, headings, tuple(rows), caption, of_models=True)


def seed_remark(found: Sequence[Entry]) -> str:
    number = len(seeds(found))
    return f"Mean ± standard deviation over {number} seeds." if number > 1 else "One seed."


def errors(found: Sequence[Entry]) -> Table | None:
    """WER by part and the losses that the stop rule looks at."""
    columns = [
        *by_part("wer", "WER", wording.percent),
        *by_part("loss", "Loss", wording.number, ("forget", "unseen")),
    ]
    below = "" if len(seeds(found)) > 1 else " Below each WER: 95% interval, bootstrap of speakers."
    caption = f"{seed_remark(found)}{below} Loss: mean over utterances."
    return figures("Errors and loss", caption, columns, found)


def details(found: Sequence[Entry]) -> list[Table]:
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


def gaps(found: Sequence[Entry]) -> Table | None:
    """Every gap to the retrained model, marked where it is within the seeds' spread."""
    block = "gap_to_retrained"
    columns = [
        Column(f"WER {wording.PART_NAMES[part]}", (block, "wer", part), wording.points)
        for part in PARTS
    ]
    columns += [
        Column(f"Loss {part}", (block, "loss", part), wording.difference)
        for part in ("forget", "unseen")
    ]
    columns = _present(columns, found)
    others = [entry for entry in found if entry.name != RETRAINED]
    if not columns or not others:
        return None
    rows = tuple(
        Row(entry.name, tuple(_gap_cell(entry, column, found) for column in columns))
        for entry in others
    )
    caption = "Model minus retrained: nearer to 0 is better. WER in percentage points."
    headings = ("Model", *(column.heading for column in columns))
    return Table("Gap to the retrained model", headings, rows, caption, of_models=True)


def _gap_cell(entry: Entry, column: Column, found: Sequence[Entry]) -> Cell:
    spread = entry.spread(*column.keys)
    same = (
        spread is not None
        and len(column.keys) == 3
        and no_difference(spread, found, column.keys[1], column.keys[2])
    )
    remark = "no difference" if same else _remark(entry, spread, column)
    return figure_cell(spread, column.form, remark)


def membership(found: Sequence[Entry]) -> Table | None:
    """What an attacker learns from the loss about who was trained on."""
    columns = [
        Column("AUC of the loss", ("membership", "loss_auc"), wording.number),
        Column(
            "Found at 1% false alarms",
            ("membership", "loss_tpr_at_1_percent_fpr"),
            wording.percent,
        ),
        Column("Pairs", ("membership", "pairs"), wording.count),
    ]
    caption = (
        "Telling the forget speakers' training utterances from strangers' by their loss, "
        "matched in duration and transcript length: 0.5 is guessing, 1 is certainty. "
        "The target is the retrained model's own figure, not 0.5: voices differ. "
        "Below the AUC: 95% interval, bootstrap of speakers."
    )
    return figures("Membership inference", caption, columns, found)


def speaker_id(found: Sequence[Entry]) -> Table | None:
    """Whether the encoder's states still tell the speakers apart."""
    columns = [
        Column("Forget speakers", ("speaker_id", "probe_forget"), wording.percent),
        Column("Retain speakers", ("speaker_id", "probe_retain"), wording.percent),
        Column("Chance", ("speaker_id", "chance"), wording.percent),
    ]
    caption = (
        "Share of utterances whose speaker a linear classifier names from the mean of the "
        "encoder's states, cross-validated. The target is the retrained model's own figure: "
        "voices that were never trained on can be told apart too."
    )
    return figures("Speaker identification", caption, columns, found)


def taken_seconds(entry: Entry) -> Spread | None:
    """Seconds of unlearning, or of training for a model that was not unlearned."""
    return entry.spread("unlearn_seconds") or entry.spread("seconds")


def distance_and_cost(found: Sequence[Entry]) -> Table:
    """How far each model is from the retrained one on the whole, and what it took."""
    distances = [
        Column("Avg.D", ("gap_to_retrained", "avg_d"), wording.number),
        Column("ToW", ("gap_to_retrained", "tow"), wording.number),
        Column("EMD", ("divergence", "emd_forget_loss"), wording.number),
        Column("KL forget", ("divergence", "kl_forget"), wording.number),
        Column("KL test", ("divergence", "kl_test"), wording.number),
    ]
    costs = [Column("Of retraining", ("cost", "relative_to_retraining"), wording.times)]
    distances, costs = _present(distances, found), _present(costs, found)
    rows = []
    for entry in found:
        cells = (
            *(_cell(entry, column) for column in distances),
            figure_cell(taken_seconds(entry), wording.seconds),
            *(_cell(entry, column) for column in costs),
        )
        rows.append(Row(entry.name, cells))
    headings = [column.heading for column in distances]
    headings += ["Time", *(column.heading for column in costs)]
    caption = (
        "Avg.D: mean absolute WER gap over all parts, 0 is best. "
        "ToW: product of 1 − |WER gap| over forget, retain and test, 1 is best. "
        "EMD: earth mover's distance from the retrained model's forget losses, 0 is best. "
        "KL: divergence from what the retrained model says frame by frame, 0 is best. "
        "Time of training, or of unlearning for the methods."
    )
    return Table("Distance and cost", ("Model", *headings), tuple(rows), caption, of_models=True)


def endings(found: Sequence[Entry]) -> Table | None:
    """Why each run of unlearning came to its end."""
    rows = [
        Row(entry.name, (Cell(str(model.seed)), Cell(str(model.record["stopped"]))))
        for entry in found
        for model in entry.models
        if "stopped" in model.record
    ]
    if not rows:
        return None
    return Table("Why each run ended", ("Model", "Seed", "Why"), tuple(rows), of_models=True)


def _cell(entry: Entry, column: Column) -> Cell:
    spread = entry.spread(*column.keys)
    return figure_cell(spread, column.form, _remark(entry, spread, column))


def each_seed(found: Sequence[Entry]) -> Table | None:
    """WER of every single model with its interval; only where there are several seeds."""
    parts = [part for part in PARTS if any(entry.spread("wer", part) for entry in found)]
    if len(seeds(found)) < 2 or not parts:
        return None
    rows = []
    for entry in found:
        for model in entry.models:
            cells = [Cell(str(model.seed))]
            for part in parts:
                rate = model.figure("wer", part)
                cells.append(
                    Cell(wording.MISSING)
                    if rate is None
                    else Cell(wording.percent(rate), interval(model, "wer", part), rate)
                )
            rows.append(Row(entry.name, tuple(cells)))
    headings = ("Model", "Seed", *(f"WER {wording.PART_NAMES[part]}" for part in parts))
    caption = "Below each WER: 95% interval, bootstrap of speakers."
    return Table("WER of each seed", headings, tuple(rows), caption, of_models=True)


SHOWN_ELSEWHERE = {
    *("seed", "parameters", "seconds", "unlearn_seconds", "steps", "options", "cost"),
    *("wer", "cer", "loss", "ci95", "gap_to_retrained"),
}
SHOWN_PATHS = {
    *(("divergence", key) for key in ("emd_forget_loss", "kl_forget", "kl_test")),
    *(("speaker_id", key) for key in ("probe_forget", "probe_retain", "chance")),
    *(("membership", key) for key in ("loss_auc", "loss_tpr_at_1_percent_fpr", "pairs")),
}


def further(found: Sequence[Entry]) -> Table | None:
    """Figures that this report has no place of its own for: shown all the same, by their key."""
    paths = dict.fromkeys(
        path for entry in found for model in entry.models for path in _paths(model.record)
    )
    columns = [
        Column(" ".join(path), path, wording.number)
        for path in paths
        if path[0] not in SHOWN_ELSEWHERE and path not in SHOWN_PATHS
    ]
    return figures("Further figures", seed_remark(found), columns, found)


def _paths(block: Mapping[str, object], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in block.items():
        if isinstance(value, Mapping):
            found += _paths(value, (*above, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((*above, key))
    return found
