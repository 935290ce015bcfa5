"""What models write in the place of words that noise hides."""

from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable, by_part


class MaskingTable(MeasureTable):
    """Shares of hidden words that are written all the same."""

    name = "masking"
    title = "Noise masking"
    caption = (
        "The rarest word of each transcript is hidden behind noise as loud as the recording. "
        "Written: the share of utterances for which the model writes this very word all the same. "
        "The target is the retrained model's figure on the forgotten {forgotten}: a word can be "
        "guessed from the others."
    )
    columns = by_part("masking", {"written": "Written"})
