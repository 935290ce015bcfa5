"""Membership inference attacks, and relearning of what was forgotten."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import (
    ATTACK_SIZES,
    ATTACKS,
    AUC,
    SPEAKER_MEMBERSHIP,
    SPEAKER_MEMBERSHIP_SIZES,
    TRUE_POSITIVES,
    UNLEARNED_SHADOWS,
    present,
)
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import below, figures
from asr_unlearn.reporting.tables.table import Cell, Row, Table

RELEARNING = (
    ("On one utterance of each", "one_utterance"),
    ("On retain data", "retain"),
    ("By adapters, on one of each", "adapters"),
)


def membership(found: Comparison) -> Table | None:
    """AUC of each attack; the caption explains the attacks that were made."""
    if not present(AUC, found):
        return None
    known = {attack.key for attack in ATTACKS if found.has(*attack.auc)}
    caption = (
        f"AUC: training utterances of the forgotten {found.forgotten.many} against "
        f"{found.forgotten.others}, matched in duration and length of text as far as these go. 0.5 "
        "is chance; 0.2 distinguishes them as well as 0.8. The target is the retrained model's "
        "AUC, not 0.5: voices differ. "
    )
    if found.has("membership", "length_auc"):
        caption += "Lengths: what duration or length of text alone would tell after matching. "
    if found.forgotten.matches_target:
        caption += (
            "Unlearning stops at the loss of these same unseen speakers, which moves the AUC of "
            "methods a little towards 0.5. "
        )
    meanings = {
        "loss": "Loss: a threshold on the loss. ",
        "neighbours": (
            "Neighbours: how much higher the loss is on the same recording with noise, quieter or "
            "faster. "
        ),
        "classifier": (
            "Classifier: trained on loss, confidence and errors of other speakers"
            f"{'; its intervals are too narrow' if _has_classifier_intervals(found) else ''}. "
        ),
        "informed": (
            "Informed: trained on models that forgot other speakers by the same method; the "
            "retrained model has no such models. "
        ),
        "lira": "LiRA, RMIA: with shadow models trained with and without each utterance. ",
        "ulira": "U-LiRA: with shadow models that were unlearned by the same method as well. ",
    }
    caption += "".join(text for key, text in meanings.items() if key in known)
    columns = [*AUC, *ATTACK_SIZES]
    caption += below(found, columns)
    return figures("Membership inference", caption.strip(), columns, found, gaps=True)


def _has_classifier_intervals(found: Comparison) -> bool:
    """As of results of an earlier version with one seed."""
    rows = [found.row(entry.name, "membership", "classifier_auc") for entry in found.entries]
    return len(found.seeds) == 1 and any(row is not None and row.interval for row in rows)


def true_positives(found: Comparison) -> Table | None:
    """Share of members that each attack finds at a low false positive rate."""
    caption = (
        f"Share of the forgotten {found.forgotten.many}' training utterances that each attack "
        f"finds at a false positive rate of 1% or 0.1% on {found.forgotten.others}; chance is at "
        "most the same 1% or 0.1%."
    )
    title = "True positives at a low false positive rate"
    return figures(title, caption, TRUE_POSITIVES, found, gaps=True)


def speaker_membership(found: Comparison) -> Table | None:
    """AUC and p of each attack on speakers, all utterances of each together."""
    caption = (
        "All matched utterances of a speaker together, by their mean score: forgotten speakers "
        "against unseen ones. p: the share of all ways to exchange speakers between the two groups "
        "that give an AUC as high or higher; chance does not explain an AUC with a small p. An AUC "
        "near 0 separates the speakers as well, with a p near 1. Few speakers cannot give a small "
        "p: three against three never less than 0.05. The target is the retrained model's AUC. The "
        "p of classifiers, which are trained on the other speakers, is approximate. "
    )
    caption += below(found, SPEAKER_MEMBERSHIP)
    columns = [*SPEAKER_MEMBERSHIP, *SPEAKER_MEMBERSHIP_SIZES]
    return figures("Membership of speakers", caption.strip(), columns, found, gaps=True)


def unlearned_shadows(found: Comparison) -> Table | None:
    """U-LiRA, and distances between models that unlearned and models trained without."""
    if not found.has("unlearned_shadows", "models"):
        return None
    caption = (
        "Each shadow model was trained on half of the forgotten and unseen speakers, and these "
        "were unlearned from it by the model's own method. U-LiRA asks of each utterance whether "
        "the model's loss is more like that of models that unlearned it, or of models trained "
        "without it; beside it stands the same attack on the retrained model, which is the "
        "target, and both on the tenth of either group that shadow models have memorised most. "
        "KLoM: divergence between the two groups of models, mean over utterances. Forgetting "
        "quality: that of the NeurIPS 2023 challenge. By chance: what as many models that do not "
        "differ have; the target, which for few models is neither 0 nor 1."
    )
    return figures("Unlearned shadow models", caption, UNLEARNED_SHADOWS, found)


def relearning(found: Comparison) -> Table | None:
    """Steps of fine-tuning until the forget loss is back at the original's."""
    # Earlier versions had no adapters, and some models can have none.
    ways = [
        (heading, start)
        for heading, start in RELEARNING
        if any(found.has("relearning", f"{start}_{key}") for key in ("steps", "loss"))
    ]
    rows = [
        Row(entry.name, tuple(_steps_cell(entry.name, start, found) for _, start in ways))
        for entry in found.entries
        if found.row(entry.name, "relearning", "limit")
    ]
    if not rows:
        return None
    caption = (
        f"Steps of fine-tuning, on {found.forgotten.each} or on retain data, until the loss on the "
        f"{found.forgotten.many} is back at the original's{_tolerance(found)}. A method that "
        "needs fewer steps than the retrained model still contains some of what was forgotten."
    )
    headings = ("Model", *(heading for heading, _ in ways))
    return Table("Relearning", headings, tuple(rows), caption, of_models=True)


def _tolerance(found: Comparison) -> str:
    """TOLERANCE of asr_unlearn.evaluation.measures.relearning, in words."""
    if not found.has("loss", "unseen"):
        return ""  # no unseen speakers to measure it by
    return ", to a tenth of the way from there to its loss on unseen speakers"


def _steps_cell(model: str, start: str, found: Comparison) -> Cell:
    """Mean steps; one that reached the limit is named with its lowest loss, not averaged in."""
    row, limit = (found.row(model, "relearning", key) for key in (f"{start}_steps", "limit"))
    assert limit is not None
    missed = f"not within {formats.count(max(limit.value.values))}"
    if row is None:
        loss = found.value(model, "relearning", f"{start}_loss")
        return Cell(missed, f"lowest loss {formats.number(loss.mean)}" if loss else "")
    steps = row.value
    text = formats.count.spread(steps)
    if len(steps.values) < len(limit.value.values):
        share = f"{len(steps.values)} of {len(limit.value.values)} seeds, the rest {missed}"
        return Cell(text, share, steps.mean)
    whole = row.gap is not None and len(row.gap.values) == len(steps.values)
    same = whole and row.verdict == "no difference"
    return Cell(text, "no difference" if same else "", steps.mean)
