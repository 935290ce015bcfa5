"""The report's plots, each an <svg> element that takes its colours from the page."""

from asr_unlearn.report.plots.confusion import confusion
from asr_unlearn.report.plots.curves import highest_share, training_curves, unlearning_curve
from asr_unlearn.report.plots.forest import Shown, forest, shared_ends
from asr_unlearn.report.plots.losses import loss_edges, loss_histogram, speaker_strip
from asr_unlearn.report.plots.trade_off import trade_off

__all__ = [
    "Shown", "confusion", "forest", "highest_share", "loss_edges", "loss_histogram", "shared_ends",
    "speaker_strip", "trade_off", "training_curves", "unlearning_curve",
]  # fmt: skip
