"""What attackers still see of the forgotten, in words: only of attacks that were made."""

from collections.abc import Sequence

from asr_unlearn.report import wording
from asr_unlearn.report.attacks import ATTACKS, Attack
from asr_unlearn.report.comparison import Comparison, Entry

# Less than one pair of a hundred that attackers are given.
SMALLEST_GAP = 0.01
INVERTED = "the other way round"


def out_of_100(area: float) -> str:
    """An area under the curve as the pairs, of a hundred, that can be told right.

    An attacker whose area is 0.17 is wrong so often that the opposite answer is right 83 times.
    """
    times = round(100 * area)
    return str(max(times, 100 - times))


def inverted(area: float) -> str:
    """A note on an area below that of guessing; else nothing."""
    return INVERTED if round(100 * area) < 50 else ""


def means(attack: Attack, entry: Entry) -> str:
    """By what, with the number of models where there are any and the results say how many."""
    number = entry.spread("membership", attack.models) if attack.models else None
    return attack.means.format("some" if number is None else wording.count(number.mean))


def explanation(found: Comparison) -> str:
    """How the attackers' figures are to be read."""
    return (
        f"Attackers are given {found.forgotten.pair}, and say which is which. Who guesses is right "
        "50 times of 100; who is wrong more often than that tells them apart as well, with the "
        f"opposite answer, which is counted here and called {INVERTED}."
    )


def attackers(entry: Entry, found: Comparison) -> str:
    """Which attacks find the forgotten like others now, and which still tell them apart."""
    made = {a: _verdict(entry, a, found) for a in ATTACKS if entry.spread(*a.auc)}
    others = found.forgotten.others
    who = "The model now" if set(made.values()) == {"alike"} else "As some attacks see it, it"
    starts = {
        "alike": f"{who} {found.forgotten.like_others}: told apart",
        "blind": "An attack to which the original is like the retrained model too cannot tell on "
        "this corpus: told apart",
        "more": f"They are still told from {others}",
        "more, guessing": "More often than with the retrained model, but no more often than by "
        f"guessing: told from {others}",
        "level": "As often as with the retrained model on average, but not with every seed: told "
        f"from {others}",
        "fewer": f"Less often than with the retrained model: told from {others}",
        "less beyond": f"Beyond {others}, but less so than with the retrained model: told apart",
        "beyond": f"Beyond {others}, which gives them away as well: told apart",
        "alone": f"They are told from {others}",
    }
    sentences = [
        _told(start, [attack for attack, own in made.items() if own == verdict], entry, found)
        for verdict, start in starts.items()
    ]
    return " ".join(filter(None, sentences))


def _verdict(entry: Entry, attack: Attack, found: Comparison) -> str:
    """Which of the sentences of `attackers` is true of an attack."""
    gap = found.gap(entry, *attack.auc)
    area = found.beside(entry, *attack.auc)[0].spread(*attack.auc)
    if gap is None or area is None:
        return "alone"  # such as an informed attack: nothing was unlearned from the retrained model
    if _alike(entry, attack, found):
        return "blind" if found.original and _alike(found.original, attack, found) else "alike"
    if abs(gap.mean) < SMALLEST_GAP:
        return "level"
    times = round(100 * area.mean)
    if gap.mean > 0:
        return "more" if times > 50 else "more, guessing" if times == 50 else "less beyond"
    return "fewer" if times >= 50 else "beyond"


def _alike(entry: Entry, attack: Attack, found: Comparison) -> bool:
    """Whether nothing is to be said of the difference from the retrained model."""
    gap = found.gap(entry, *attack.auc)
    return gap is not None and (found.alike(entry, *attack.auc) or gap.size < SMALLEST_GAP)


def _told(start: str, chosen: Sequence[Attack], entry: Entry, found: Comparison) -> str:
    """How often of 100, by each of these attacks, the retrained model's figure in brackets."""
    said: list[str] = []
    for attack in chosen:
        mine, gold = found.beside(entry, *attack.auc)
        area, own = mine.spread(*attack.auc), gold.spread(*attack.auc) if gold else None
        assert area is not None
        times = f"{out_of_100(area.mean)} times{'' if said else ' of 100'}"
        target = f"{'' if said else 'retrained model: '}{_with_note(own.mean)}" if own else ""
        notes = wording.bracketed(inverted(area.mean), target, found.fewer_seeds(area))
        said.append(f"{times} {means(attack, entry)}{notes}")
    return f"{start} {wording.listed(said)}." if said else ""


def _with_note(area: float) -> str:
    return " ".join(filter(None, (out_of_100(area), inverted(area))))
