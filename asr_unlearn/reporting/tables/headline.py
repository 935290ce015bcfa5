"""The most important figures, for a README, without the intervals that stand in the report."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import (
    INFORMED,
    JUDGE,
    OF_RETRAINING,
    PROBE,
    Column,
    losses,
    rates,
)  # fmt: skip
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures, seed_remark
from asr_unlearn.reporting.tables.table import Table


def headline(found: Comparison) -> Table | None:
    """Rates, forget loss, AUC, speaker identity and time; None without any of them."""
    columns = [
        *rates(found.rate, ("forget", "retain", "test")),
        *losses("forget"),
        Column("AUC of the loss", ("membership", "loss_auc"), formats.number),
        Column("AUC, informed", INFORMED.auc, formats.number),
        Column("Speaker probe", PROBE[0].keys, formats.percent),
        Column("Speaker judge", JUDGE[0].keys, formats.percent),
        Column("Of retraining time", OF_RETRAINING.keys, formats.times),
    ]
    return figures("Headline", seed_remark(found), columns, found, intervals=False)
