"""All measures that an evaluation can be asked for, in the order in which they are made."""

from asr_unlearn.evaluation.attacks.extraction import ExtractionMeasure
from asr_unlearn.evaluation.attacks.masking import MaskingMeasure
from asr_unlearn.evaluation.attacks.quantisation import QuantisationMeasure
from asr_unlearn.evaluation.attacks.relearning import RelearningMeasure
from asr_unlearn.evaluation.measure import Measure
from asr_unlearn.evaluation.nearest_voices import NearestVoicesMeasure

MEASURES: tuple[Measure, ...] = (
    RelearningMeasure(),
    QuantisationMeasure(),
    ExtractionMeasure(),
    MaskingMeasure(),
    NearestVoicesMeasure(),
)
