"""The comparison in three sentences, and notes on the limits of its figures."""

import math
from typing import NamedTuple

from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED
from asr_unlearn.reporting.columns import ATTACKS, AVERAGE_DIFFERENCE, TIME, Column, present, rates
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.formats import MISSING, bracketed, listed, number

# How many methods the sentences name: those nearest to the retrained model over all parts.
NAMED = 3
# An original and a retrained model less than half a point apart leave nothing to measure.
SMALLEST_DIFFERENCE = 0.005
# Groups of an attack that their lengths tell apart by more than this, beyond chance, are named.
LENGTHS, LENGTHS_APART = ("membership", "length_auc"), 0.1


class Summary(NamedTuple):
    sentences: list[str]
    notes: list[str]


def summary(found: Comparison) -> Summary:
    """Forgetting; the other parts; cost and attacks. A sentence without figures is left out."""
    rate, average = found.rate, AVERAGE_DIFFERENCE.keys
    distances = {m.name: found.value(m.name, *average) for m in found.methods}
    nearest = sorted(distances, key=lambda m: d.mean if (d := distances[m]) else math.inf)
    names, more = [ORIGINAL, RETRAINED, *nearest[:NAMED]], len(nearest) - NAMED
    rest = f"{more} more method{'s' if more > 1 else ''} in the tables" if more > 0 else ""
    forget, *others = rates(rate, ("forget", "retain", "unseen", "test"))
    others = present(others, found)
    parts = " / ".join(column.keys[1] for column in others)
    request = found.forgotten
    who = request.one if len(request.names) == 1 else request.counted
    forgotten = f"{rate.heading} on the {who} to forget"
    facts = (
        (_listed(found, names, [forget], forgotten), rest),
        (_listed(found, names, others, f"{rate.heading} on {parts}"),),
        (_listed(found, names, [TIME], "Time relative to retraining"), _attacks(found, names)),
    )
    texts = ["; ".join(filter(None, of_sentence)) for of_sentence in facts]
    return Summary([f"{text}." for text in texts if text], _notes(found))


def _listed(found: Comparison, models: list[str], columns: list[Column], heading: str) -> str:
    """“WER on retain / test: original 3.00% / 22.0%, orthograd 7.50% / 28.0%”; means over seeds."""
    listing = []
    for model in models:
        rows = [found.row(model, *column.keys) for column in columns]
        if known := [row for row in rows if row]:
            pairs = zip(columns, rows, strict=True)
            figures = " / ".join(c.form(row.value.mean) if row else MISSING for c, row in pairs)
            alike = {row.verdict if row.alike else "" for row in known}
            notes = alike.pop() if len(alike) == 1 else "", found.fewer_seeds(known[0].value)
            listing.append(f"{model} {figures}{bracketed(*notes)}")
    return f"{heading}: {', '.join(listing)}" if listing else ""


def _attacks(found: Comparison, models: list[str]) -> str:
    """Of each model the attack whose AUC is farthest from that on the retrained model."""
    listing = []
    for model in models:
        known = [
            (abs(row.gap.mean), row.shared.mean, row.target.mean, attack.name)
            for attack in ATTACKS
            if (row := found.row(model, *attack.auc)) and row.gap and row.target
        ]
        if known:
            _, own, target, name = max(known)
            listing.append(f"{model} {number(own)} for {number(target)} ({name})")
    heading = "AUC of the attack that is farthest from its AUC on the retrained model"
    return f"{heading}: {', '.join(listing)}" if listing else ""


def _from_chance(area: float) -> float:
    return abs(area - 0.5)


def _notes(found: Comparison) -> list[str]:
    every, rate, retrained = len(found.seeds), found.rate, found.retrained
    runs = [(entry.name, model) for entry in found.entries for model in entry.models]
    notes = [
        f"Warning, {name}, seed {model.seed}: {model.record['warning']}."
        for name, model in runs
        if "warning" in model.record
    ]
    notes += [
        f"{name}, seed {model.seed}: overlong transcripts, mostly of repeated words, add "
        f"{100 * own['wer']:.1f} points to the WER on {part} (utterances: {own['utterances']})."
        for name, model in runs
        for part, own in model.record.get("overlong", {}).items()
    ]
    areas = [v.mean for e in found.entries if (v := found.value(e.name, *LENGTHS))]
    if areas and _from_chance(area := max(areas, key=_from_chance)) > LENGTHS_APART:
        notes.append(
            "The attacks' groups differ in duration or length of text, which alone has an AUC of "
            f"{number(area)}: an AUC near it tells nothing of membership."
        )
    if retrained is None:
        notes.append("There is no retrained model, so forgetting cannot be judged.")
    elif apart := [m.name for m in found.methods if not m.seeds & retrained.seeds]:
        notes.append(f"No retrained model of the same seed: {listed(apart)}.")
    start = found.row(ORIGINAL, rate.key, "forget")
    if start and start.gap and abs(start.gap.mean) < SMALLEST_DIFFERENCE:
        notes.append(
            f"{rate.heading} on forget differs by less than half a point between original and "
            f"retrained model, so in {rate.name} there is almost nothing to forget."
        )
    if len(runs) == len(found.entries):
        which = "One seed" if every == 1 else "Each model has one seed, not all the same"
        notes.append(f"{which}: the variation of the figures over seeds is unknown.")
    elif fewer := [f"{e.name} ({len(e.models)})" for e in found.entries if len(e.models) < every]:
        notes.append(
            f"Means over {every} seeds, over fewer for {listed(fewer)}; differences are over the "
            "seeds that a model shares with the retrained one."
        )
    ratios = {m.name: found.value(m.name, *TIME.keys) for m in found.methods}
    if dearer := [name for name, ratio in ratios.items() if ratio and ratio.mean > 1]:
        notes.append(f"Retraining is cheaper than {listed(dearer)}.")
    return notes
