"""What a wider search finds of the transcripts."""

from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable, by_part


class NBestTable(MeasureTable):
    """Error rates of the best among five transcripts."""

    name = "nbest"
    title = "Five best transcripts"
    caption = (
        "A beam search writes its five best transcripts of each recording. WER of the best: of the "
        "one that is nearest to what was said. Found: the share of utterances of which one is all "
        "that was said. The target is the retrained model's figure on the forgotten {forgotten}: "
        "where more is found, part of what was forgotten is still there."
    )
    columns = by_part("nbest", {"oracle_wer": "WER of the best", "found": "Found"})
