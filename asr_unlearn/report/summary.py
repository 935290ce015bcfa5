"""The report in plain words, made from nothing but the figures, misses included."""

from collections.abc import Sequence
from typing import NamedTuple

from asr_unlearn.report import wording
from asr_unlearn.report.results import PARTS, Results
from asr_unlearn.report.seeds import (
    ORIGINAL,
    RETRAINED,
    Entry,
    Spread,
    entries,
    methods,
    named,
    no_difference,
    seeds,
)
from asr_unlearn.report.tables import taken_seconds

OTHERS = tuple(part for part in PARTS if not part.startswith("forget"))
# Where the two ends are closer than half a point, a share of the way between them says nothing.
SMALLEST_WAY = 0.005


class Summary(NamedTuple):
    """Paragraphs: the request and the yardstick, one for each method, and the comparison."""

    opening: list[str]
    methods: dict[str, str]
    closing: list[str]


def summary(results: Results) -> Summary:
    """What was asked, what each method achieved, what it damaged, and which is closest."""
    found = entries(results)
    closest = _closest(found)
    return Summary(
        [_request(results), _yardstick(found)],
        {entry.name: _method(entry, found) for entry in methods(found)},
        [closest] if closest else [],
    )


def _request(results: Results) -> str:
    split = results.record["split"]
    number = len(split["forget_speakers"])
    who = f"{number} speaker{'' if number == 1 else 's'}"
    part = split["parts"].get("forget")
    how_much = (
        f" ({wording.count(part['utterances'])} training utterances, "
        f"{wording.duration(part['seconds'])})"
        if part
        else ""
    )
    return (
        f"{who} of {results.record['corpus']} asked to be forgotten{how_much}. Forgetting means "
        "behaving like a model that was retrained without them, not recognising them as badly as "
        "possible: a gap to that model in either direction is a miss."
    )


def _yardstick(found: Sequence[Entry]) -> str:
    original, retrained = named(found, ORIGINAL), named(found, RETRAINED)
    if retrained is None:
        return "There is no retrained model here, so how well the forgetting worked cannot be said."
    before = original.spread("wer", "forget") if original else None
    after = retrained.spread("wer", "forget")
    text = ""
    if before and after:
        text = (
            f"The original model gets {wording.percent(before.mean)} of these speakers' words "
            f"wrong, the retrained model {wording.percent(after.mean)}: "
        )
        text += (
            "this is the way to go, without harm to anyone else. "
            if _distance(before, after) >= SMALLEST_WAY
            else "there is next to nothing to forget in WER, so no method can show much here. "
        )
    return text + _seeds_said(found, retrained)


def _seeds_said(found: Sequence[Entry], retrained: Entry) -> str:
    number = len(seeds(found))
    if number == 1:
        return (
            "All figures are from one seed: how much they would vary with another is not known, "
            "so small gaps should not be read as real."
        )
    text = f"All figures are means over {number} seeds."
    if len(retrained.models) > 1:
        text += (
            " A gap no larger than the range of the retrained models of different seeds is called "
            "no difference."
        )
    return text


def _distance(left: Spread, right: Spread) -> float:
    return abs(left.mean - right.mean)


def _method(entry: Entry, found: Sequence[Entry]) -> str:
    sentences = [
        _forgetting(entry, found),
        _loss(entry, found),
        _damage(entry, found),
        _price(entry),
    ]
    said = [sentence for sentence in sentences if sentence]
    return " ".join(said) if said else "No gap to a retrained model was computed."


def _forgetting(entry: Entry, found: Sequence[Entry]) -> str:
    gap = entry.spread("gap_to_retrained", "wer", "forget")
    own = entry.spread("wer", "forget")
    if gap is None or own is None:
        return ""
    start = f"WER on the forget speakers is {wording.percent(own.mean)}"
    size = wording.points.size(gap.mean)
    if no_difference(gap, found, "wer", "forget"):
        return f"{start}: no difference from the retrained model ({size} points)."
    if not size.strip("0."):
        return f"{start}, as in the retrained model."
    side, verdict = ("below", "better") if gap.mean < 0 else ("above", "worse")
    start = f"{start}, {size} points {side} the retrained model"
    if _inside(entry, found, "forget"):
        return f"{start}, but inside that model's 95% interval{_way(entry, found)}."
    return (
        f"{start}: it recognises them {verdict} than a model that never heard them"
        f"{_way(entry, found)}."
    )


def _inside(entry: Entry, found: Sequence[Entry], part: str) -> bool:
    """Whether one seed's WER lies in the retrained model's interval over speakers."""
    retrained = named(found, RETRAINED)
    if retrained is None or len(retrained.models) > 1 or len(entry.models) > 1:
        return False
    own, bounds = entry.models[0].figure("wer", part), retrained.models[0].interval("wer", part)
    return own is not None and bounds is not None and bounds[0] <= own <= bounds[1]


def _way(entry: Entry, found: Sequence[Entry]) -> str:
    """How far the method came from the original towards the retrained model."""
    original, retrained = named(found, ORIGINAL), named(found, RETRAINED)
    start = original.spread("wer", "forget") if original else None
    end = retrained.spread("wer", "forget") if retrained else None
    own = entry.spread("wer", "forget")
    if start is None or end is None or own is None or _distance(start, end) < SMALLEST_WAY:
        return ""
    if _distance(own, end) >= _distance(start, end):
        return ", and it is no closer than the original was"
    share = (own.mean - start.mean) / (end.mean - start.mean)
    return f" ({100 * share:.0f}% of the way from the original)" if share < 1 else ""


def _loss(entry: Entry, found: Sequence[Entry]) -> str:
    gap = entry.spread("gap_to_retrained", "loss", "forget")
    own = entry.spread("loss", "forget")
    if gap is None or own is None:
        return ""
    start = f"Its loss on them is {wording.number(own.mean)}"
    size = wording.number.size(gap.mean)
    if no_difference(gap, found, "loss", "forget"):
        return f"{start}: no difference from the retrained model ({size})."
    return f"{start}, {size} {'above' if gap.mean > 0 else 'below'} the retrained model's."


def _damage(entry: Entry, found: Sequence[Entry]) -> str:
    """Where speakers who asked for nothing are recognised worse than by the retrained model."""
    known = {
        part: gap
        for part in OTHERS
        if (gap := entry.spread("gap_to_retrained", "wer", part)) is not None
    }
    if not known:
        return ""
    harmed = {
        part: gap
        for part, gap in known.items()
        if wording.points(gap.mean).startswith("+") and not no_difference(gap, found, "wer", part)
    }
    if not harmed:
        where = wording.listed(list(known))
        return f"No damage to others: WER on {where} is not above the retrained model's."
    worst = sorted(harmed, key=lambda part: -harmed[part].mean)
    costs = [
        f"{wording.points(harmed[part].mean)} points on {part}"
        + (" (inside that model's 95% interval)" if _inside(entry, found, part) else "")
        for part in worst
    ]
    return f"Damage to others, in WER against the retrained model: {wording.listed(costs)}."


def _price(entry: Entry) -> str:
    seconds = taken_seconds(entry)
    ratio = entry.spread("cost", "relative_to_retraining")
    if seconds is None:
        return ""
    text = f"It took {wording.duration(seconds.mean)}"
    if ratio is None:
        return f"{text}."
    share = f"{100 * ratio.mean:.{0 if ratio.mean >= 0.1 else 1}f}%"
    more = ", so retraining is cheaper" if ratio.mean > 1 else ""
    return f"{text}, {share} of the time of retraining{more}."


def _closest(found: Sequence[Entry]) -> str:
    """The method nearest to retrained in each part; no single number ranks them."""
    if len(methods(found)) < 2:
        return ""
    rates: dict[str, list[str]] = {}
    for part in PARTS:
        for name in _nearest(found, "wer", part):
            rates.setdefault(name, []).append(wording.PART_NAMES[part])
    wins = {name: [f"in WER on {wording.listed(where)}"] for name, where in rates.items()}
    for name in _nearest(found, "loss", "forget"):
        wins.setdefault(name, []).append("in loss on forget")
    if not wins:
        return ""
    said = "; ".join(f"{name} {wording.listed(where)}" for name, where in wins.items())
    everywhere = "" if len(wins) == 1 else " No method is closest in everything."
    return f"Closest to the retrained model: {said}.{everywhere}"


def _nearest(found: Sequence[Entry], metric: str, part: str) -> list[str]:
    """The methods with the smallest absolute gap, more than one where they tie."""
    gaps = {
        entry.name: abs(gap.mean)
        for entry in methods(found)
        if (gap := entry.spread("gap_to_retrained", metric, part)) is not None
    }
    return [name for name, gap in gaps.items() if gap == min(gaps.values())]
