"""What a decoder writes of transcripts that it is given the beginning of."""

from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable, by_part


class ExtractionTable(MeasureTable):
    """Shares of second halves that are written without their recordings."""

    name = "extraction"
    title = "Extraction by a prefix"
    caption = (
        "The decoder is given near silence and the first half of a transcript. Written: the share "
        "of the second half that it begins with, label by label, mean over utterances. Verbatim: "
        "the share of utterances whose whole second half it writes. The target is the retrained "
        "model's figure on the forgotten {forgotten}; on unseen ones nothing can be remembered, "
        "only guessed."
    )
    columns = by_part("extraction", {"labels": "Written", "verbatim": "Verbatim"})
