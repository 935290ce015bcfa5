"""The comparison in three sentences, and notes on the limits of its figures."""

from dataclasses import replace
from typing import NamedTuple

from asr_unlearn.report.columns import ATTACKS, AVERAGE_DIFFERENCE, OF_RETRAINING, Column, rates
from asr_unlearn.report.comparison import ORIGINAL, RETRAINED, Comparison
from asr_unlearn.report.formats import bracketed, listed, number, percent

# How many methods the sentences name: those nearest to the retrained model over all parts.
NAMED = 3
# An original and a retrained model less than half a point apart leave nothing to measure.
SMALLEST_DIFFERENCE = 0.005
ALIKE = {"no difference": "no difference", "inside interval": "in retrained's interval"}


class Summary(NamedTuple):
    sentences: list[str]
    notes: list[str]


def summary(found: Comparison) -> Summary:
    """Forgetting; the other parts; cost and attacks. A sentence without figures is left out."""
    rate, methods = found.rate, sorted(found.methods, key=lambda m: _distance(found, m.name))
    names = [ORIGINAL, RETRAINED, *(method.name for method in methods[:NAMED])]
    more = len(methods) - NAMED
    forget, *others = rates(rate, ("forget", "retain", "unseen", "test"))
    forgotten = [
        _listed(found, names, forget, f"{rate.heading} on the {found.forgotten.counted} to forget"),
        f"{more} more method{'s' if more > 1 else ''} in the tables" if more > 0 else "",
    ]
    parts = [_listed(found, names, other, other.heading) for other in others]
    costs = [
        _listed(found, names, replace(OF_RETRAINING, form=percent), "Time relative to retraining"),
        _attacks(found, names),
    ]
    texts = ["; ".join(filter(None, facts)) for facts in (forgotten, parts, costs)]
    return Summary([f"{text}." for text in texts if text], _notes(found))


def _distance(found: Comparison, model: str) -> float:
    average = found.value(model, *AVERAGE_DIFFERENCE.keys)
    return average.mean if average else float("inf")


def _listed(found: Comparison, models: list[str], column: Column, heading: str) -> str:
    """“WER retain: original 3.00%, retrained 3.50%, orthograd 7.50% (1 of 3 seeds)”: means."""
    known = [row for model in models if (row := found.row(model, *column.keys))]
    figures = [
        f"{row.model} {column.form(row.value.mean)}"
        + bracketed(ALIKE.get(row.verdict, ""), found.fewer_seeds(row.value))
        for row in known
    ]
    return f"{heading}: {', '.join(figures)}" if figures else ""


def _attacks(found: Comparison, models: list[str]) -> str:
    """The AUC that is farthest from 0.5 for each model, and whose it is."""
    listing = []
    for model in models:
        known = [(auc.mean, a.name) for a in ATTACKS if (auc := found.value(model, *a.auc))]
        if known:
            area, name = max(known, key=lambda one: abs(one[0] - 0.5))
            listing.append(f"{model} {number(area)} ({name})")
    heading = "AUC of the strongest attack (farthest from 0.5)"
    return f"{heading}: {', '.join(listing)}" if listing else ""


def _notes(found: Comparison) -> list[str]:
    notes = [
        f"Warning, {entry.name}, seed {model.seed}: {model.record['warning']}."
        for entry in found.entries
        for model in entry.models
        if "warning" in model.record
    ]
    retrained, every, rate = found.retrained, len(found.seeds), found.rate
    if retrained is None:
        notes.append("There is no retrained model, so forgetting cannot be judged.")
    elif apart := [m.name for m in found.methods if not m.seeds & retrained.seeds]:
        notes.append(f"No retrained model of the same seed: {listed(apart)}.")
    start = found.row(ORIGINAL, rate.key, "forget")
    if start and start.gap and abs(start.gap.mean) < SMALLEST_DIFFERENCE:
        notes.append(
            f"{rate.heading} on forget differs by less than half a point between "
            f"original and retrained model, so in {rate.name} there is almost nothing to forget."
        )
    if all(len(entry.models) == 1 for entry in found.entries):
        which = "One seed" if every == 1 else "Each model has one seed, not all the same"
        notes.append(f"{which}: the variation of the figures over seeds is unknown.")
    elif fewer := [f"{e.name} ({len(e.models)})" for e in found.entries if len(e.models) < every]:
        notes.append(
            f"Means over {every} seeds, over fewer for {listed(fewer)}; differences are over the "
            "seeds that a model shares with the retrained one."
        )
    ratios = [(m.name, found.value(m.name, *OF_RETRAINING.keys)) for m in found.methods]
    if dearer := [name for name, ratio in ratios if ratio and ratio.mean > 1]:
        notes.append(f"Retraining is cheaper than {listed(dearer)}.")
    return notes
