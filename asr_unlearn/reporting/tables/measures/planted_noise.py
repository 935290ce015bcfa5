"""Whether models remember noise that their training recordings had."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable


class PlantedNoiseTable(MeasureTable):
    """AUC of planted noise against other noise."""

    name = "planted_noise"
    title = "Planted noise"
    caption = (
        "The forgotten {forgotten}' recordings had noise in training. AUC: how often the gradient "
        "of the loss by a recording tells that noise from other noise as loud; 0.5 without any "
        "memory of it, as in the retrained model. p: of this AUC or a higher one by chance. {seeds}"
    )
    columns = (
        Column("AUC", ("planted_noise", "forget_auc"), formats.number, formats.difference),
        Column("p", ("planted_noise", "forget_p"), formats.probability),
        Column("Utterances", ("planted_noise", "forget_utterances"), formats.count),
    )
