"""Error rates on a further test set."""

from asr_unlearn.reporting.columns import FURTHER_TEST, FURTHER_TEST_SIZES
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures, seed_remark
from asr_unlearn.reporting.tables.table import Table


def further_test(found: Comparison) -> Table | None:
    """Loss and rates of recordings beside the split's; None without any."""
    caption = (
        f"{seed_remark(found)} Recordings of another manifest; of speakers of the split's other "
        "parts only those that are in its part test. Raw WER: before texts are normalised. "
        "Overlong: transcripts with far more words than were said, and what these add to the WER."
    )
    columns = [*FURTHER_TEST, *FURTHER_TEST_SIZES]
    return figures("Further test set", caption, columns, found, gaps=True)
