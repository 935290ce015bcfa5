"""What was asked, what is the yardstick, the three questions, and each method in words."""

from typing import NamedTuple

from asr_unlearn.evaluation.results import Results
from asr_unlearn.report import wording
from asr_unlearn.report.attacks import ATTACKS
from asr_unlearn.report.comparison import Comparison, Entry, compare
from asr_unlearn.report.words.answers import Answer, answers
from asr_unlearn.report.words.attackers import explanation
from asr_unlearn.report.words.method import SMALLEST_WAY, distance, method


class Summary(NamedTuple):
    """Paragraphs: the request and the yardstick; a question each; some for each method.

    `explanation` says how the attackers' figures in the last are to be read; empty without any.
    """

    opening: list[str]
    answers: list[Answer]
    explanation: str
    methods: dict[str, list[str]]


def summary(results: Results) -> Summary:
    """What was asked, which method is closest, what is still seen, at what cost."""
    found = compare(results)
    return Summary(
        [_request(results, found), _yardstick(found)],
        answers(found),
        explanation(found) if any(found.has(*attack.auc) for attack in ATTACKS) else "",
        {entry.name: method(entry, found) for entry in found.methods},
    )


def _request(results: Results, found: Comparison) -> str:
    part = results.record["split"]["parts"].get("forget")
    verb = "is" if len(found.forgotten.names) == 1 else "are"
    how_much = (
        f" ({wording.count(part['utterances'])} training utterances, "
        f"{wording.duration(part['seconds'])})"
        if part
        else ""
    )
    return (
        f"{found.forgotten.counted} of {results.record['corpus']} {verb} to be "
        f"forgotten{how_much}. "
        "Forgetting means behaving like a model retrained without them, not recognising them as "
        "badly as possible: a gap to that model in either direction is a miss."
    )


def _yardstick(found: Comparison) -> str:
    if found.retrained is None:
        return "There is no retrained model here, so how well the forgetting worked cannot be said."
    way = _way_to_go(found, found.original) if found.original else ""
    return way + _seeds_said(found, found.retrained)


def _way_to_go(found: Comparison, original: Entry) -> str:
    rate, keys = found.rate, (found.rate.key, "forget")
    start, end = found.beside(original, *keys)
    before, after = start.spread(*keys), end.spread(*keys) if end else None
    if before is None or after is None:
        return ""
    said = rate.said.format(wording.percent(before.mean))
    verdict = (
        "this is the way to go, without harm to anyone else"
        if distance(before, after) >= SMALLEST_WAY
        else f"there is next to nothing to forget in {rate.name}, so no method can show much here"
    )
    return (
        f"The original model {said}, the retrained model {wording.percent(after.mean)}"
        f"{wording.bracketed(found.fewer_seeds(after))}: {verdict}. "
    )


def _seeds_said(found: Comparison, retrained: Entry) -> str:
    number = len(found.seeds)
    if number == 1:
        return (
            "All figures are from one seed: how much they would vary with another is not known, "
            "so small gaps should not be read as real."
        )
    if all(len(entry.models) == 1 for entry in found.entries):
        return (
            "Each model has one seed, but not all have the same: how much figures would vary with "
            "another is not known, so small gaps should not be read as real."
        )
    short = [
        f"{entry.name} ({len(entry.models)})"
        for entry in found.entries
        if len(entry.models) < number
    ]
    text = f"All figures are means over {number} seeds."
    if short:
        text = (
            f"Figures are means over {number} seeds, but of {wording.listed(short)} over fewer. "
            "A model is compared with the retrained one over the seeds that both have."
        )
    if len(retrained.models) > 1:
        text += (
            " Gaps that are on average, whatever their signs, no larger than the range of the "
            "retrained models of different seeds are called no difference."
        )
    return text
