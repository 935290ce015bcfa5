"""The report's tables, without markup."""

from asr_unlearn.reporting.tables.corpus import left_out, options, split, versions
from asr_unlearn.reporting.tables.cost import distance_and_cost, endings, phases
from asr_unlearn.reporting.tables.differences import closest, differences
from asr_unlearn.reporting.tables.each_speaker import each_speaker
from asr_unlearn.reporting.tables.further import further
from asr_unlearn.reporting.tables.headline import headline
from asr_unlearn.reporting.tables.layers import layer_probes, layers, principal_components
from asr_unlearn.reporting.tables.measures import measured
from asr_unlearn.reporting.tables.membership import (
    membership,
    relearning,
    speaker_membership,
    true_positives,
    unlearned_shadows,
)
from asr_unlearn.reporting.tables.quantisation import quantisation
from asr_unlearn.reporting.tables.rates import details, each_seed, rates_and_loss
from asr_unlearn.reporting.tables.records import record_inputs, records
from asr_unlearn.reporting.tables.requests import requests
from asr_unlearn.reporting.tables.speakers import judge, probe, verification
from asr_unlearn.reporting.tables.table import Cell, Row, Table

__all__ = [
    "Cell", "Row", "Table", "closest", "details", "differences", "distance_and_cost", "each_seed",
    "each_speaker", "endings", "further", "headline", "judge", "layer_probes", "layers", "left_out",
    "measured", "membership", "options", "phases", "principal_components", "probe", "quantisation",
    "rates_and_loss", "record_inputs", "records", "relearning", "requests", "speaker_membership",
    "split", "true_positives", "unlearned_shadows", "verification", "versions",
]  # fmt: skip
