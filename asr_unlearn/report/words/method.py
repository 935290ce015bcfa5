"""One method in words: what it forgot, what it damaged, who still sees it, what it took."""

from asr_unlearn.evaluation.results import PARTS
from asr_unlearn.report import wording
from asr_unlearn.report.comparison import Comparison, Entry, Spread
from asr_unlearn.report.tables.cost import taken_seconds
from asr_unlearn.report.tables.membership import tolerance
from asr_unlearn.report.words.attackers import attackers

OTHERS = tuple(part for part in PARTS if not part.startswith("forget"))
# Where the two ends are closer than half a point, a share of the way between them says nothing.
SMALLEST_WAY = 0.005


def method(entry: Entry, found: Comparison) -> list[str]:
    """Paragraphs: forgetting and damage; what is still to be seen; the price."""
    paragraphs = [
        *_warnings(entry),
        likeness(entry, found) or "No gap to a retrained model was computed.",
        attackers(entry, found),
        _together(_relearning(entry, found), _judge(entry, found)),
        _price(entry),
    ]
    return [text for text in paragraphs if text]


def _warnings(entry: Entry) -> list[str]:
    """What the runs themselves warned of, such as a model that is ruined."""
    return [
        f"Warning, seed {model.seed}: {model.record['warning']}."
        for model in entry.models
        if "warning" in model.record
    ]


def likeness(entry: Entry, found: Comparison) -> str:
    """How close to the retrained model a method came, and at whose expense."""
    return _together(_forgetting(entry, found), _loss(entry, found), _damage(entry, found))


def _together(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def distance(left: Spread, right: Spread) -> float:
    return abs(left.mean - right.mean)


def _forgetting(entry: Entry, found: Comparison) -> str:
    rate = found.rate
    gap = found.gap(entry, rate.key, "forget")
    own = found.beside(entry, rate.key, "forget")[0].spread(rate.key, "forget")
    if gap is None or own is None:
        return ""
    start = (
        f"{rate.heading} on the forget {found.forgotten.many} is {wording.percent(own.mean)}"
        f"{wording.bracketed(found.fewer_seeds(gap))}"
    )
    size = wording.points.size(gap.mean)
    if found.no_difference(gap, rate.key, "forget"):
        return f"{start}: no difference from the retrained model ({size} points)."
    side = "below" if gap.mean < 0 else "above"
    where = f"{size} points {side} the retrained model" if size.strip("0.") else ""
    start = f"{start}, {where or 'as in the retrained model'}"
    if astray := _astray(gap, wording.points, " points"):
        return f"{start} on average, but {astray}."
    if not where:
        return f"{start}."
    verdict = "worse" if rate.harm(gap.mean) > 0 else "better"
    if found.inside(entry, rate.key, "forget"):
        return f"{start}, but inside that model's 95% interval{_way(entry, found)}."
    return (
        f"{start}: it recognises them {verdict} than a model that never heard them"
        f"{_way(entry, found)}."
    )


def _astray(gap: Spread, form: wording.Form, unit: str = "") -> str:
    """By how much single seeds miss where their gaps cancel out in the mean."""
    size = form.size(gap.size)
    if size == form.size(gap.mean):
        return ""
    return f"single seeds miss by {size}{unit} one way or the other"


def _way(entry: Entry, found: Comparison) -> str:
    """How far the method came from the original towards the retrained model, seed by seed."""
    keys = (found.rate.key, "forget")
    mine, gold = found.beside(entry, *keys)
    start = found.original.at(mine.seeds).spread(*keys) if found.original else None
    end = gold.spread(*keys) if gold else None
    own = mine.spread(*keys)
    if start is None or end is None or own is None or distance(start, end) < SMALLEST_WAY:
        return ""
    if len(start.values) < len(own.values):
        return ""
    if distance(own, end) >= distance(start, end):
        return ", and it is no closer than the original was"
    share = (own.mean - start.mean) / (end.mean - start.mean)
    return f" ({100 * share:.0f}% of the way from the original)" if share < 1 else ""


def _loss(entry: Entry, found: Comparison) -> str:
    gap = found.gap(entry, "loss", "forget")
    own = found.beside(entry, "loss", "forget")[0].spread("loss", "forget")
    if gap is None or own is None:
        return ""
    fewer = wording.bracketed(found.fewer_seeds(gap))
    start = f"Its loss on them is {wording.number(own.mean)}{fewer}"
    size = wording.number.size(gap.mean)
    if found.no_difference(gap, "loss", "forget"):
        return f"{start}: no difference from the retrained model ({size})."
    text = f"{start}, {size} {'above' if gap.mean > 0 else 'below'} the retrained model's"
    astray = _astray(gap, wording.number)
    return f"{text} on average, but {astray}." if astray else f"{text}."


def _damage(entry: Entry, found: Comparison) -> str:
    """Where speakers who asked for nothing are recognised worse than by the retrained model."""
    rate = found.rate
    known = {part: gap for part in OTHERS if (gap := found.gap(entry, rate.key, part)) is not None}
    if not known:
        return ""
    harm = {part: rate.harm(gap.mean) for part, gap in known.items()}
    harmed = [part for part in known if wording.points(harm[part]).startswith("+")]
    if not harmed:
        where, side = wording.listed(list(known)), "above" if rate.is_error else "below"
        fewer = wording.bracketed(found.fewer_seeds(next(iter(known.values()))))
        target = f"the retrained model's{fewer}"
        return f"No damage to others: {rate.name} on {where} is not {side} {target}."
    same = {part for part in harmed if found.no_difference(known[part], rate.key, part)}
    start = (
        "No damage to others beyond the range of the retrained models"
        if len(same) == len(harmed)
        else "Damage to others"
    )
    costs = [
        f"{wording.points(known[part].mean)} points on {part}"
        + wording.bracketed(
            "no difference" if part in same else _astray(known[part], wording.points, " points"),
            "inside that model's 95% interval" if found.inside(entry, rate.key, part) else "",
            found.fewer_seeds(known[part]),
        )
        for part in sorted(harmed, key=lambda part: -harm[part])
    ]
    return f"{start}, in {rate.name} against the retrained model: {wording.listed(costs)}."


def _relearning(entry: Entry, found: Comparison) -> str:
    """How soon one utterance of each brings the forgotten back, where that was tried."""
    mine, gold = found.beside(entry, "relearning", "limit")
    limit = mine.spread("relearning", "limit")
    if limit is None:
        return ""
    steps = _steps(mine, "one_utterance_steps")
    text = (
        f"Fine-tuned on {found.forgotten.each}, it is back at the original's loss on them"
        f"{tolerance(found)}, {steps}"
    )
    target = f"retrained model: {_steps(gold, 'one_utterance_steps')}" if gold else ""
    return f"{text}{wording.bracketed(target, found.fewer_seeds(limit))}."


def _steps(entry: Entry, key: str) -> str:
    steps, limit = entry.spread("relearning", key), entry.spread("relearning", "limit")
    assert limit is not None
    if steps is None:
        return f"not within {wording.count(max(limit.values))} steps"
    missed = len(limit.values) - len(steps.values)
    often = f", in {missed} of {len(limit.values)} seeds not at all" if missed else ""
    return f"after {wording.count(steps.mean)} step{'' if round(steps.mean) == 1 else 's'}{often}"


def _judge(entry: Entry, found: Comparison) -> str:
    """What a speaker classifier that forgot by the same method still names."""
    keys = ("speaker_id", "judge_forget")
    mine, gold = found.beside(entry, *keys)
    own, target = mine.spread(*keys), gold.spread(*keys) if gold else None
    if own is None:
        return ""
    text = (
        "A speaker classifier unlearned in the same way still names "
        f"{wording.percent(own.mean)} of their utterances"
    )
    retrained = f"retrained: {wording.percent(target.mean)}" if target else ""
    return f"{text}{wording.bracketed(retrained, found.fewer_seeds(own))}."


def _price(entry: Entry) -> str:
    seconds = taken_seconds(entry)
    ratio = entry.spread("cost", "relative_to_retraining")
    if seconds is None:
        return ""
    text = f"It took {wording.duration(seconds.mean)}"
    if ratio is None:
        return f"{text}."
    more = ", so retraining is cheaper" if ratio.mean > 1 else ""
    return f"{text}, {wording.share(ratio.mean)} of the time of retraining{more}."
