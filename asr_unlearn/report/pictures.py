"""What only the HTML report shows: plots, and the settings of every run."""

import json
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from asr_unlearn.evaluation.results import PARTS, Results
from asr_unlearn.report import plots, wording
from asr_unlearn.report.attacks import ATTACKS
from asr_unlearn.report.comparison import ORIGINAL, RETRAINED, Comparison, Entry
from asr_unlearn.report.palette import Looks
from asr_unlearn.report.plots import Shown
from asr_unlearn.report.runs import Runs, key

Draw = Callable[[], str | None]
SEEN = ("forget", "unseen", "retain")


def pictures(found: Comparison, runs: Runs, looks: Looks) -> dict[str, list[Markup]]:
    """The plots by their place on the page; a place that has nothing to show is empty."""
    drawings: dict[str, list[Draw]] = {
        "rates": _rates(found, looks),
        "trade_off": [partial(plots.trade_off, found, looks)],
        "attacks": _attacks(found, looks),
        "confusions": _confusions(found, looks),
        "histograms": _histograms(found, runs, looks),
        "strip": [partial(plots.speaker_strip, _speaker_losses(found, runs), looks)],
        "training": [partial(plots.training_curves, _training(found, runs), looks)],
        "curves": _curves(found, runs, looks),
    }
    waiting = [(place, draw) for place, draws in drawings.items() for draw in draws]
    drawn: dict[str, list[Markup]] = {place: [] for place in drawings}
    for place, draw in tqdm(waiting, desc="drawing the report", leave=False, delay=2):
        if (picture := draw()) is not None:
            # Made by us, and every name in it is escaped.
            drawn[place].append(Markup(picture))
    return drawn


def settings(results: Results, runs: Runs) -> dict[str, str]:
    """run.json of every model."""
    return {
        f"{model.name}, seed {model.seed}": json.dumps(content, indent=2, ensure_ascii=False)
        for model in results.models
        if (content := runs[key(model)].settings)
    }


def _forests(found: Comparison, shown: list[Shown], looks: Looks) -> list[Draw]:
    ends = plots.shared_ends(found, shown)
    return [partial(plots.forest, found, one, looks, ends) for one in shown]


def _rates(found: Comparison, looks: Looks) -> list[Draw]:
    """The rate of every part on one scale, and the forget loss on its own."""
    rate = found.rate
    shown = [
        Shown(f"{rate.heading} {wording.PART_NAMES[part]}", (rate.key, part), wording.percent)
        for part in found.parts(rate.key, PARTS)
    ]
    loss = [Shown("Loss forget", ("loss", "forget"), wording.number)]
    return [*_forests(found, shown, looks), *_forests(found, loss, looks)]


def _attacks(found: Comparison, looks: Looks) -> list[Draw]:
    shown = [
        Shown(f"AUC, {attack.name} attack", attack.auc, wording.number, chance=0.5)
        for attack in ATTACKS
        if found.has(*attack.auc)
    ]
    return _forests(found, shown, looks)


def _confusions(found: Comparison, looks: Looks) -> list[Draw]:
    """A matrix a model, over the seeds whose classes are the same as the first's."""
    draws: list[Draw] = []
    for entry in found.entries:
        tables = [m.record["confusion"] for m in entry.models if "confusion" in m.record]
        if not tables:
            continue
        labels = tables[0]["labels"]
        counts = [np.array(t["counts"]) for t in tables if t["labels"] == labels]
        draws.append(partial(plots.confusion, entry.name, labels, np.sum(counts, axis=0), looks))
    return draws


def _histograms(found: Comparison, runs: Runs, looks: Looks) -> list[Draw]:
    losses = {entry.name: _losses(entry, runs) for entry in found.entries}
    edges = plots.loss_edges(list(losses.values()))
    if edges is None:
        return []
    return [
        partial(plots.loss_histogram, name, own, edges, looks)
        for name, own in losses.items()
        if any(own.values())
    ]


def _losses(entry: Entry, runs: Runs) -> Mapping[str, list[float]]:
    """Losses of all seeds' utterances, by part."""
    parts: dict[str, list[float]] = {part: [] for part in SEEN}
    for model in entry.models:
        for row in runs[key(model)].transcripts:
            if row.part in parts and row.loss is not None:
                parts[row.part].append(row.loss)
    return parts


def _speaker_losses(found: Comparison, runs: Runs) -> dict[str, dict[str, dict[str, float]]]:
    """Model -> part -> speaker -> mean loss over utterances and seeds."""
    means: dict[str, dict[str, dict[str, float]]] = {}
    for entry in found.entries:
        losses: dict[str, dict[str, list[float]]] = {part: {} for part in SEEN}
        for model in entry.models:
            for row in runs[key(model)].transcripts:
                if row.part in losses and row.loss is not None:
                    losses[row.part].setdefault(row.speaker, []).append(row.loss)
        if any(losses.values()):
            means[entry.name] = {
                part: {speaker: float(np.mean(own)) for speaker, own in speakers.items()}
                for part, speakers in losses.items()
            }
    return means


def _of_seeds(entry: Entry, runs: Runs) -> dict[int, list[dict[str, float]]]:
    return {model.seed: runs[key(model)].metrics for model in entry.models}


def _training(found: Comparison, runs: Runs) -> dict[str, dict[int, list[dict[str, float]]]]:
    trained = [entry for entry in found.entries if entry.name in (ORIGINAL, RETRAINED)]
    return {entry.name: _of_seeds(entry, runs) for entry in trained}


def _curves(found: Comparison, runs: Runs, looks: Looks) -> list[Draw]:
    every = {entry.name: _of_seeds(entry, runs) for entry in found.methods}
    top, checked = plots.highest_share(every), found.rate.checked
    return [
        partial(plots.unlearning_curve, name, curves, checked, looks, top)
        for name, curves in every.items()
    ]
