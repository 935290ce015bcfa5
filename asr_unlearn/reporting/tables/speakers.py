"""Speaker identity after unlearning: probe, unlearned speaker classifier, verification."""

from asr_unlearn.reporting.columns import (
    CHANCE,
    JUDGE,
    PROBE,
    TRIALS,
    VERIFICATION,
    present,
)
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import below, figures
from asr_unlearn.reporting.tables.table import Table


def probe(found: Comparison) -> Table | None:
    """Accuracy of a linear speaker probe on the encoder's states."""
    caption = (
        "Share of utterances whose speaker a linear classifier names from the mean of the "
        "encoder's states, cross-validated. The target is the retrained model's figure: voices "
        "that were not trained on can be distinguished too. "
    )
    if not present(PROBE, found):
        return None
    columns = [*PROBE, CHANCE]
    caption += below(found, columns)
    return figures("Speaker identification", caption.strip(), columns, found, gaps=True)


def judge(found: Comparison) -> Table | None:
    """Accuracy of a speaker classifier that was unlearned by the same method."""
    caption = (
        "A separate speaker classifier, trained on the corpus and unlearned by the same method: "
        "share of utterances whose speaker it names, and its equal error rate in verification. "
    )
    title = "Speaker classifier unlearned by the same method"
    caption += below(found, JUDGE)
    return figures(title, caption.strip(), JUDGE, found, gaps=True)


def verification(found: Comparison) -> Table | None:
    """Equal error rate and similarity of pairs of recordings."""
    caption = (
        "Pairs of recordings, scored by the cosine of their speaker embeddings. EER: the error "
        "rate at the threshold where false rejections and false acceptances are equally frequent. "
    )
    columns = [*VERIFICATION, TRIALS]
    caption += below(found, columns)
    return figures("Speaker verification", caption.strip(), columns, found, gaps=True)
