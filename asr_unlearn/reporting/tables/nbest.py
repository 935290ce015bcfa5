"""What a wider search finds of the transcripts."""

from asr_unlearn.reporting.columns import NBEST, NBEST_SIZES
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures
from asr_unlearn.reporting.tables.table import Table


def nbest(found: Comparison) -> Table | None:
    """Error rates of the best among five transcripts; None without any."""
    caption = (
        "A beam search writes its five best transcripts of each recording. WER of the best: of the "
        "one that is nearest to what was said. Found: the share of utterances of which one is all "
        "that was said. The target is the retrained model's figure on the forgotten "
        f"{found.forgotten.many}: where more is found, part of what was forgotten is still there."
    )
    return figures("Five best transcripts", caption, [*NBEST, *NBEST_SIZES], found, gaps=True)
