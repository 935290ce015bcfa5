"""What attackers still see of the forgotten, in words: only of attacks that were made."""

from collections.abc import Sequence

from asr_unlearn.report import wording
from asr_unlearn.report.attacks import ATTACKS, Attack
from asr_unlearn.report.comparison import Comparison, Entry


def out_of_100(area: float) -> str:
    """An area under the curve as the pairs, of a hundred, that the attacker tells right."""
    return f"{100 * area:.0f}"


def means(attack: Attack, entry: Entry) -> str:
    """By what, with the number of models where there are any and the results say how many."""
    number = entry.spread("membership", attack.models) if attack.models else None
    return attack.means.format("some" if number is None else wording.count(number.mean))


def explanation(found: Comparison) -> str:
    """How the attackers' figures are to be read."""
    return (
        f"Attackers are given {found.forgotten.pair}, and say which is which. Who guesses is right "
        "50 times of 100."
    )


def attackers(entry: Entry, found: Comparison) -> str:
    """Which attacks find the forgotten like others now, and which still tell them apart."""
    made = [attack for attack in ATTACKS if entry.spread(*attack.auc)]
    gaps = {attack.key: found.gap(entry, *attack.auc) for attack in made}
    alike = [attack for attack in made if found.alike(entry, *attack.auc)]
    apart = [(attack, gap) for attack in made if attack not in alike if (gap := gaps[attack.key])]
    still = [attack for attack, gap in apart if gap.mean > 0]
    fewer = [attack for attack, gap in apart if gap.mean <= 0]
    beyond = [
        a
        for a in fewer
        if (area := found.beside(entry, *a.auc)[0].spread(*a.auc)) and area.mean < 0.5
    ]
    others = found.forgotten.others
    who = "The model now" if len(alike) == len(made) else "As some attacks see it, it"
    like = f"{who} {found.forgotten.like_others}"
    told = {
        f"{like}: told apart": alike,
        f"They are still told from {others}": still,
        f"Less often than with the retrained model: told from {others}": [
            attack for attack in fewer if attack not in beyond
        ],
        f"Beyond {others}, which gives them away as well: told apart": beyond,
        # Such as an informed attack: nothing was unlearned from the retrained model.
        f"They are told from {others}": [a for a in made if not gaps[a.key]],
    }
    sentences = [_told(start, chosen, entry, found) for start, chosen in told.items()]
    return " ".join(filter(None, sentences))


def _told(start: str, chosen: Sequence[Attack], entry: Entry, found: Comparison) -> str:
    """How often of 100, by each of these attacks, the retrained model's figure in brackets."""
    said: list[str] = []
    for attack in chosen:
        mine, gold = found.beside(entry, *attack.auc)
        area, own = mine.spread(*attack.auc), gold.spread(*attack.auc) if gold else None
        assert area is not None
        times = f"{out_of_100(area.mean)} times{'' if said else ' of 100'}"
        target = f"{'' if said else 'retrained model: '}{out_of_100(own.mean)}" if own else ""
        notes = wording.bracketed(target, found.fewer_seeds(area))
        said.append(f"{times} {means(attack, entry)}{notes}")
    return f"{start} {wording.listed(said)}." if said else ""
