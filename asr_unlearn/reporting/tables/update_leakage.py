"""What the original and another model tell together."""

from asr_unlearn.reporting.columns import UPDATE_LEAKAGE
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures
from asr_unlearn.reporting.tables.table import Table


def update_leakage(found: Comparison) -> Table | None:
    """How well the rise of the losses tells the forgotten from the retained; None without any."""
    caption = (
        "Whoever has the original beside a model can compare their losses: AUC of telling forget "
        "from retain utterances by how far the loss has risen, and the same of speakers. It is "
        "high for the retrained model too: it is no fault of a method, and the reason to delete "
        "the original once nothing is to be evaluated again, and to publish no model of before."
    )
    return figures("Two models side by side", caption, UPDATE_LEAKAGE, found)
