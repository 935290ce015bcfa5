"""Error rates of those whose voices are nearest to the forgotten."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable


class NearestVoicesTable(MeasureTable):
    """Rates of the retained speakers nearest to the forgotten, and of the others."""

    name = "nearest_voices"
    title = "Nearest voices"
    caption = (
        "Retained speakers, by how near their voices are to a forgotten one's: the nearest, as "
        "many as were forgotten, and the others. A method that harms the nearest more than the "
        "others, beyond the retrained model, has forgotten voices and not speakers."
    )
    columns = (
        *(
            Column(
                f"{rate}, {group}",
                ("nearest_voices", f"{key}_{name}"),
                formats.percent,
                formats.points,
            )
            for rate, name in (("WER", "wer"), ("Accuracy", "accuracy"))
            for group, key in (("nearest", "nearest"), ("others", "other"))
        ),
        Column("Speakers", ("nearest_voices", "speakers"), formats.count),
    )
