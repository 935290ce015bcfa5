"""What models write in the place of words that noise hides."""

from asr_unlearn.reporting.columns import MASKING, MASKING_SIZES
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures
from asr_unlearn.reporting.tables.table import Table


def masking(found: Comparison) -> Table | None:
    """Shares of hidden words that are written all the same; None without any."""
    caption = (
        "The rarest word of each transcript is hidden behind noise as loud as the recording. "
        "Written: the share of utterances for which the model writes this very word all the same. "
        f"The target is the retrained model's figure on the forgotten {found.forgotten.many}: a "
        "word can be guessed from the others."
    )
    return figures("Noise masking", caption, [*MASKING, *MASKING_SIZES], found, gaps=True)
