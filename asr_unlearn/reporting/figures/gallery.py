"""All figures of report.html, by their place on the page."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from markupsafe import Markup

from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED
from asr_unlearn.reporting.columns import AUC, Column, losses, present, rates
from asr_unlearn.reporting.comparison import Comparison, Entry
from asr_unlearn.reporting.figures.confusion import confusion
from asr_unlearn.reporting.figures.curves import highest_share, training_curves, unlearning_curve
from asr_unlearn.reporting.figures.forest import forest, shared_ends
from asr_unlearn.reporting.figures.losses import loss_edges, loss_histogram, speaker_strip
from asr_unlearn.reporting.figures.palette import Looks
from asr_unlearn.reporting.figures.requests import after_each_request
from asr_unlearn.reporting.figures.trade_off import trade_off
from asr_unlearn.reporting.runs import Runs, key
from asr_unlearn.runtime.progress import Bar

Draw = Callable[[], str | None]
SHOWN_PARTS = ("forget", "unseen", "retain")
# Rates beside the trade-off: both of its axes, or with more models than this the first alone.
FIRST = ("forget", "retain")
FEW = 8


def draw_all(requests: Sequence[Comparison], runs: Runs, looks: Looks) -> dict[str, list[Markup]]:
    """Place -> figures of the last request; a place without figures is empty."""
    found = requests[-1]
    rate = present(rates(found.rate), found)
    loss = present(losses("forget"), found)
    first, rest = _split(rate, FIRST if len(found.entries) <= FEW else FIRST[:1])
    drawings: dict[str, list[Draw]] = {
        "trade_off": [partial(trade_off, found, looks)],
        "after_each": [partial(after_each_request, requests, looks)],
        "rates_first": _forests(found, first, rate, looks),
        "rates": [*_forests(found, rest, rate, looks), *_forests(found, loss, loss, looks)],
        "attacks": _forests(found, present(AUC, found), present(AUC, found), looks),
        "confusions": _confusions(found, looks),
        "histograms": _histograms(found, runs, looks),
        "strip": [partial(speaker_strip, _speaker_losses(found, runs), looks)],
        "training": [partial(training_curves, _training(found, runs), looks)],
        "curves": _curves(found, runs, looks),
    }
    waiting = [(place, draw) for place, draws in drawings.items() for draw in draws]
    drawn: dict[str, list[Markup]] = {place: [] for place in drawings}
    for place, draw in Bar(waiting, desc="drawing the report", leave=False, delay=2):
        if (svg := draw()) is not None:
            # Our own markup, with every name in it escaped.
            drawn[place].append(Markup(svg))
    return drawn


def _split(columns: Sequence[Column], parts: Sequence[str]) -> tuple[list[Column], list[Column]]:
    chosen = [column for column in columns if column.keys[1] in parts]
    return chosen, [column for column in columns if column not in chosen]


def _forests(
    found: Comparison, columns: Sequence[Column], scale: Sequence[Column], looks: Looks
) -> list[Draw]:
    """A forest plot for each of `columns`, on the scale of all columns of `scale`."""
    ends = shared_ends(found, scale)
    return [partial(forest, found, column, looks, ends) for column in columns]


def _confusions(found: Comparison, looks: Looks) -> list[Draw]:
    """A matrix for each model, summed over the seeds with the same classes as the first."""
    draws: list[Draw] = []
    for entry in found.entries:
        tables = [m.record["confusion"] for m in entry.models if "confusion" in m.record]
        if not tables:
            continue
        labels = tables[0]["labels"]
        counts = [np.array(t["counts"]) for t in tables if t["labels"] == labels]
        draws.append(partial(confusion, entry.name, labels, np.sum(counts, axis=0), looks))
    return draws


def _histograms(found: Comparison, runs: Runs, looks: Looks) -> list[Draw]:
    by_model = {entry.name: _losses(entry, runs) for entry in found.entries}
    edges = loss_edges(list(by_model.values()))
    if edges is None:
        return []
    return [
        partial(loss_histogram, name, own, edges, looks)
        for name, own in by_model.items()
        if any(own.values())
    ]


def _losses(entry: Entry, runs: Runs) -> Mapping[str, list[float]]:
    """Part -> losses of the utterances of all seeds."""
    by_speaker = _losses_by_speaker(entry, runs)
    return {part: [v for own in of.values() for v in own] for part, of in by_speaker.items()}


def _losses_by_speaker(entry: Entry, runs: Runs) -> dict[str, dict[str, list[float]]]:
    """Part -> speaker -> losses of the utterances of all seeds."""
    found: dict[str, dict[str, list[float]]] = {part: {} for part in SHOWN_PARTS}
    for model in entry.models:
        for row in runs[key(model)].predictions:
            if row.part in found and row.loss is not None:
                found[row.part].setdefault(row.speaker, []).append(row.loss)
    return found


def _speaker_losses(found: Comparison, runs: Runs) -> dict[str, dict[str, dict[str, float]]]:
    """Model -> part -> speaker -> mean loss over utterances and seeds."""
    by_model = {entry.name: _losses_by_speaker(entry, runs) for entry in found.entries}
    return {
        name: {
            part: {speaker: float(np.mean(own)) for speaker, own in speakers.items()}
            for part, speakers in parts.items()
        }
        for name, parts in by_model.items()
        if any(parts.values())
    }


def _of_seeds(entry: Entry, runs: Runs) -> dict[int, list[dict[str, float]]]:
    return {model.seed: runs[key(model)].metrics for model in entry.models}


def _training(found: Comparison, runs: Runs) -> dict[str, dict[int, list[dict[str, float]]]]:
    trained = [entry for entry in found.entries if entry.name in (ORIGINAL, RETRAINED)]
    return {entry.name: _of_seeds(entry, runs) for entry in trained}


def _curves(found: Comparison, runs: Runs, looks: Looks) -> list[Draw]:
    every = {entry.name: _of_seeds(entry, runs) for entry in found.methods}
    top, checked = highest_share(every), found.rate.checked
    return [
        partial(unlearning_curve, name, curves, checked, looks, top)
        for name, curves in every.items()
    ]
