"""Error rates on a further test set."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable


class FurtherTestTable(MeasureTable):
    """Loss and rates of recordings beside the split's."""

    name = "further_test"
    title = "Further test set"
    caption = (
        "{seeds} Recordings of another manifest; of speakers of the split's other parts only those "
        "that are in its part test. Raw WER: before texts are normalised. Overlong: transcripts "
        "with far more words than were said, and what these add to the WER."
    )
    columns = (
        Column("WER", ("further_test", "wer"), formats.percent, formats.points),
        Column("CER", ("further_test", "cer"), formats.percent, formats.points),
        Column("Raw WER", ("further_test", "raw_wer"), formats.percent, formats.points),
        Column("Accuracy", ("further_test", "accuracy"), formats.percent, formats.points),
        Column("Loss", ("further_test", "loss"), formats.number, formats.difference),
        Column("Overlong", ("further_test", "overlong"), formats.count),
        Column("WER by overlong", ("further_test", "overlong_wer"), formats.percent),
        Column("Utterances", ("further_test", "utterances"), formats.count),
        Column("Speakers", ("further_test", "speakers"), formats.count),
    )
