"""Three questions, answered from the figures: how close, what is still seen, at what cost."""

from typing import NamedTuple

from asr_unlearn.evaluation.results import PARTS
from asr_unlearn.report import wording
from asr_unlearn.report.attacks import ATTACKS, INFORMED, Attack
from asr_unlearn.report.comparison import Comparison, Entry, Spread
from asr_unlearn.report.tables.cost import taken_seconds
from asr_unlearn.report.tables.gaps import nearest, ranked_unequally
from asr_unlearn.report.words.attackers import explanation, inverted, out_of_100
from asr_unlearn.report.words.method import likeness


class Answer(NamedTuple):
    """A question and the sentences that answer it."""

    question: str
    sentences: list[str]


def answers(found: Comparison) -> list[Answer]:
    """Those of the three questions that there are figures for."""
    attacker = "an informed attacker" if found.has(*INFORMED.auc) else "an attacker"
    alone = found.methods[0].name if len(found.methods) == 1 else None
    asked = {
        f"How close is {alone} to the retrained model?": _close(found) if alone else [],
        "Which method is closest to the retrained model?": _closest(found),
        f"What does {attacker} still see?": _seen(found),
        "What does it cost, against retraining?": _cost(found),
    }
    return [Answer(question, said) for question, said in asked.items() if said]


def _close(found: Comparison) -> list[str]:
    text = likeness(found.methods[0], found)
    return [text] if text else []


def _closest(found: Comparison) -> list[str]:
    """The method nearest to retrained in each part; no single number ranks them."""
    if len(found.methods) < 2:
        return []
    rate = found.rate
    best = {part: [entry.name for entry in nearest(found, rate.key, part)] for part in PARTS}
    in_loss = [entry.name for entry in nearest(found, "loss", "forget")]
    rates: dict[str, list[str]] = {}
    for part, names in best.items():
        for name in names:
            rates.setdefault(name, []).append(wording.PART_NAMES[part])
    wins = {name: [f"in {rate.name} on {wording.listed(on)}"] for name, on in rates.items()}
    for name in in_loss:
        wins.setdefault(name, []).append("in loss on forget")
    if not wins:
        return []
    said = "; ".join(f"{name} {wording.listed(where)}" for name, where in wins.items())
    # Others may tie with the one that is.
    told = [names for names in (*best.values(), in_loss) if names]
    is_one = any(all(name in names for names in told) for name in wins)
    everywhere = "" if is_one else " No method is closest in everything."
    sentences = [f"Closest to the retrained model: {said}.{everywhere}"]
    if unequal := ranked_unequally(found):
        sentences.append(unequal)
    if found.retrained and len(found.retrained.models) > 1:
        sentences.append(_alike_everywhere(found))
    return sentences


def _alike_everywhere(found: Comparison) -> str:
    rate = found.rate
    parts = found.parts(rate.key, PARTS)
    alike = [
        f"{entry.name}{wording.bracketed(found.fewer_seeds(gap))}"
        for entry in found.methods
        if (gap := found.gap(entry, rate.key, parts[0]))
        and all(found.alike(entry, rate.key, part) for part in parts)
    ]
    names = wording.listed(alike) if alike else "no method"
    where = wording.listed([wording.PART_NAMES[part] for part in parts])
    return f"No difference from it in {rate.name} on all of {where}: {names}."


def _seen(found: Comparison) -> list[str]:
    """Each attack over all methods, between the original and the retrained model."""
    made = [attack for attack in ATTACKS if any(m.spread(*attack.auc) for m in found.methods)]
    if not made:
        return []
    return [explanation(found), *(_attack(attack, found) for attack in made)]


def _attack(attack: Attack, found: Comparison) -> str:
    known = [(m, area) for m in found.methods if (area := m.spread(*attack.auc))]
    ends = [
        f"{out_of_100(area.mean)} {where}"
        f"{wording.bracketed(inverted(area.mean), found.fewer_seeds(area))}"
        for where, entry in (("before", found.original), ("retrained", found.retrained))
        if entry and (area := entry.spread(*attack.auc))
    ]
    told = [
        f"{out_of_100(area.mean)}"
        f"{wording.bracketed(entry.name, inverted(area.mean), found.fewer_seeds(area))}"
        for entry, area in sorted(known, key=_area)
    ]
    ends.append(f"{told[0]} to {told[-1]} after" if len(told) > 1 else f"{told[0]} after")
    text = f"{attack.name[0].upper()}{attack.name[1:]} attack: {', '.join(ends)}"
    same = _yardstick(attack, found.retrained) if found.retrained else ""
    if not same:
        return f"{text}."
    alike = [entry.name for entry, _ in known if found.alike(entry, *attack.auc)]
    text = f"{text}. {same}: {wording.listed(alike) if alike else 'none'}."
    if alike and found.original and found.alike(found.original, *attack.auc):
        return f"{text} So is the original: this attack cannot tell on this corpus."
    return text


def _yardstick(attack: Attack, retrained: Entry) -> str:
    """What those who are like the retrained model are called; nothing where none can be."""
    own = retrained.spread(*attack.auc)
    if own is not None and len(own.values) > 1:
        return "No difference from retrained"
    alone = retrained.models[0] if len(retrained.models) == 1 else None
    return "Inside its 95% interval" if alone and alone.interval(*attack.auc) else ""


def _area(known: tuple[Entry, Spread]) -> float:
    """How well they can be told apart, either way round."""
    return max(known[1].mean, 1 - known[1].mean)


def _cost(found: Comparison) -> list[str]:
    ratio = ("cost", "relative_to_retraining")
    known = sorted(
        ((m, share.mean) for m in found.methods if (share := m.spread(*ratio))),
        key=lambda priced: priced[1],
    )
    training = taken_seconds(found.retrained) if found.retrained else None
    if not known or training is None:
        return []
    told = [_price(entry, share) for entry, share in (known[0], known[-1])[: len(known)]]
    span = told[0] if len(told) == 1 else f"from {told[0]} to {told[1]}"
    dearer = [entry.name for entry, share in known if share > 1]
    more = f" Retraining is cheaper than {wording.listed(dearer)}." if dearer else ""
    return [f"Retraining took {wording.duration(training.mean)}; unlearning took {span}.{more}"]


def _price(entry: Entry, share: float) -> str:
    seconds = taken_seconds(entry)
    taken = f"{wording.duration(seconds.mean)}, " if seconds else ""
    return f"{taken}{wording.share(share)} of that ({entry.name})"
