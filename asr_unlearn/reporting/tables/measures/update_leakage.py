"""What the original and another model tell together."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable


class UpdateLeakageTable(MeasureTable):
    """How well the rise of the losses tells the forgotten from the retained."""

    name = "update_leakage"
    title = "Two models side by side"
    caption = (
        "Whoever has the original beside a model can compare their losses: AUC of telling forget "
        "from retain utterances by how far the loss has risen, and the same of speakers. It is "
        "high for the retrained model too: it is no fault of a method, and the reason to delete "
        "the original once nothing is to be evaluated again, and to publish no model of before."
    )
    columns = (
        Column("AUC", ("update_leakage", "auc"), formats.number, formats.difference),
        Column("AUC, speakers", ("update_leakage", "speaker_auc"), formats.number),
        Column("p, speakers", ("update_leakage", "speaker_p"), formats.probability),
    )
    gaps = False
