"""What a decoder writes of transcripts that it is given the beginning of."""

from asr_unlearn.reporting.columns import EXTRACTION, EXTRACTION_SIZES
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures
from asr_unlearn.reporting.tables.table import Table


def extraction(found: Comparison) -> Table | None:
    """Shares of second halves written without their recordings; None without any."""
    caption = (
        "The decoder is given near silence and the first half of a transcript. Written: the share "
        "of the second half that it begins with, label by label, mean over utterances. Verbatim: "
        "the share of utterances whose whole second half it writes. The target is the retrained "
        f"model's figure on the forgotten {found.forgotten.many}; on unseen ones nothing can be "
        "remembered, only guessed."
    )
    return figures(
        "Extraction by a prefix", caption, [*EXTRACTION, *EXTRACTION_SIZES], found, gaps=True
    )
