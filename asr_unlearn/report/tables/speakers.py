"""Whether voices are still told apart: by a probe, by a judge, and in verification."""

from asr_unlearn.report import wording
from asr_unlearn.report.comparison import Comparison
from asr_unlearn.report.tables.column import Column, below, figures
from asr_unlearn.report.tables.table import Table

PROBE = [
    Column("Forget speakers", ("speaker_id", "probe_forget"), wording.percent, wording.points),
    Column("Retain speakers", ("speaker_id", "probe_retain"), wording.percent, wording.points),
    Column("Chance", ("speaker_id", "chance"), wording.percent),
]
JUDGE = [
    Column("Forget speakers", ("speaker_id", "judge_forget"), wording.percent, wording.points),
    Column("Retain speakers", ("speaker_id", "judge_retain"), wording.percent, wording.points),
    Column("EER", ("speaker_id", "judge_eer"), wording.percent, wording.points),
]
VERIFICATION = [
    column
    for whose, start in (("Strangers", ""), ("Forget", "forget_"))
    for column in (
        Column(f"{whose}: EER", ("verification", f"{start}eer"), wording.percent, wording.points),
        *(
            Column(
                f"{whose}: similarity, {pair}",
                ("verification", f"{start}similarity_{pair}"),
                wording.number,
                wording.difference,
            )
            for pair in ("same", "different")
        ),
    )
]
TRIALS = Column("Trials", ("verification", "trials"), wording.count)


def probe(found: Comparison) -> Table | None:
    """Whether the encoder's states still tell the speakers apart."""
    caption = (
        "Share of utterances whose speaker a linear classifier names from the mean of the "
        "encoder's states, cross-validated. The target is the retrained model's own figure: "
        "voices that were never trained on can be told apart too. "
    )
    # Chance alone is no probe.
    if not any(found.has(*column.keys) for column in PROBE[:2]):
        return None
    return figures("Speaker identification", caption + below(found), PROBE, found)


def judge(found: Comparison) -> Table | None:
    """What a speaker classifier that was unlearned by the same method still names."""
    caption = (
        "A speaker classifier of its own, trained on the corpus and unlearned by the same method: "
        "share of utterances whose speaker it names, and its equal error rate in verification. "
    )
    return figures("Speaker classifier as judge", caption + below(found), JUDGE, found)


def verification(found: Comparison) -> Table | None:
    """Whether two recordings of one speaker are still alike."""
    caption = (
        "Two recordings at a time, compared by the cosine of their speaker embeddings. EER: "
        "where as many pairs of the same speaker are refused as of different ones are accepted. "
    )
    return figures("Speaker verification", caption + below(found), [*VERIFICATION, TRIALS], found)
