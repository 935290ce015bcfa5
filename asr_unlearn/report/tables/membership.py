"""What attackers learn of who was trained on, and what brings the forgotten back."""

from asr_unlearn.report import wording
from asr_unlearn.report.attacks import ALARMS, ATTACKS
from asr_unlearn.report.comparison import Comparison, Entry, Spread
from asr_unlearn.report.tables.column import Column, below, figures, present
from asr_unlearn.report.tables.table import Cell, Row, Table

AUC = [
    Column(f"AUC {attack.name}", attack.auc, wording.number, wording.difference)
    for attack in ATTACKS
]
SIZES = [
    Column("Pairs", ("membership", "pairs"), wording.count),
    Column("Informed by", ("membership", "informed_models"), wording.count),
    Column("Shadow models", ("membership", "shadow_models"), wording.count),
]
FEW_ALARMS = [
    Column(
        f"{attack.name[0].upper() + attack.name[1:]}, {alarms}",
        attack.true_positives(rate),
        wording.percent,
        wording.points,
    )
    for attack in ATTACKS
    for rate, alarms in ALARMS
]
RELEARNING = (
    ("On one utterance of each", "one_utterance"),
    ("On retain data", "retain"),
)


def membership(found: Comparison) -> Table | None:
    """The area under each attack's curve; the caption explains the attacks that were made."""
    known = {attack.key for attack in ATTACKS if found.has(*attack.auc)}
    caption = (
        f"Telling training utterances of the forgotten {found.forgotten.many} from "
        f"{found.forgotten.others}, matched in duration and length of text: 0.5 is guessing, 1 is "
        "certainty, and so is 0, the other way round. "
        "The target is the retrained model's own figure, not 0.5: voices differ. "
    )
    if found.forgotten.aimed_at:
        caption += (
            "Unlearning ends at the level of these same strangers, which draws the figures of "
            "methods a little towards 0.5. "
        )
    meanings = {
        "loss": "Loss: a threshold on it. ",
        "classifier": (
            "Classifier: learns from loss, confidence and errors of other speakers"
            f"{'; its intervals are too narrow' if len(found.seeds) == 1 else ''}. "
        ),
        "informed": (
            "Informed: learns from models that forgot other speakers by the same method; there is "
            "nothing of the kind to learn about the retrained model. "
        ),
        "lira": "LiRA, RMIA: with shadow models trained with and without each utterance. ",
    }
    caption += "".join(said for key, said in meanings.items() if key in known)
    if not present(AUC, found):
        return None
    return figures("Membership inference", caption + below(found), [*AUC, *SIZES], found)


def few_alarms(found: Comparison) -> Table | None:
    """How many of the forgotten an attacker finds who may accuse hardly anyone wrongly."""
    caption = (
        f"Share of the forgotten {found.forgotten.many}' training utterances that each attack "
        f"finds where it accuses 1% or 0.1% of the {found.forgotten.others} wrongly; as much as "
        "that is guessing."
    )
    return figures("Found at few false alarms", caption, FEW_ALARMS, found)


def relearning(found: Comparison) -> Table | None:
    """Steps of fine-tuning until the forget loss is back at the original's."""
    rows = [
        Row(entry.name, tuple(_steps_cell(entry, start, found) for _, start in RELEARNING))
        for entry in found.entries
        if entry.spread("relearning", "limit")
    ]
    if not rows:
        return None
    caption = (
        f"Steps of fine-tuning, on {found.forgotten.each} or on retain data, until the loss on the "
        f"{found.forgotten.many} is back at the original's{tolerance(found)}. Where that takes as "
        "many as for the retrained model, and the loss has come down no further by then, nothing "
        "was left to bring back."
    )
    headings = ("Model", *(heading for heading, _ in RELEARNING))
    return Table("Relearning", headings, tuple(rows), caption, of_models=True)


def tolerance(found: Comparison) -> str:
    """How near the original's loss is near enough (TOLERANCE of asr_unlearn.evaluation.attacks.relearning)."""
    if not found.has("loss", "unseen"):
        return ""  # there are no strangers to measure it by
    return ", to a tenth of the way from there to its loss on unseen speakers"


def _steps_cell(entry: Entry, start: str, found: Comparison) -> Cell:
    """Mean steps; a limit that was not enough is told with the loss there, never averaged in."""
    key = f"{start}_steps"
    steps, tried = entry.spread("relearning", key), entry.spread("relearning", "limit")
    assert tried is not None
    missed = f"not within {wording.count(max(tried.values))}"
    if steps is None:
        loss = entry.spread("relearning", f"{start}_loss")
        return Cell(missed, f"loss {wording.number(loss.mean)} then" if loss else "")
    if len(steps.values) < len(tried.values):
        share = f"{len(steps.values)} of {len(tried.values)} seeds, the rest {missed}"
        return Cell(wording.count.spread(steps), share, steps.mean)
    return Cell(wording.count.spread(steps), _same(entry, key, found, steps), steps.mean)


def _same(entry: Entry, key: str, found: Comparison, steps: Spread) -> str:
    gap = found.gap(entry, "relearning", key)
    if entry is found.retrained or gap is None or len(gap.values) < len(steps.values):
        return ""
    return "no difference" if found.no_difference(gap, "relearning", key) else ""
