"""Per-utterance gradients of a model, their Gram matrix and the step orthogonal to them."""

from asr_unlearn.gradients.cgls import PoolStep, pool_step
from asr_unlearn.gradients.fisher import diagonal_fisher
from asr_unlearn.gradients.metric import norm
from asr_unlearn.gradients.reference import per_utterance_gradients, stacked_step
from asr_unlearn.gradients.streaming import orthogonal_part, streaming_step
from asr_unlearn.gradients.types import (
    Batch,
    Gradient,
    Losses,
    Metric,
    MicroBatches,
    OrthogonalStep,
    Rises,
    Scope,
    Weights,
    pieces_of,
)
from asr_unlearn.gradients.weighted_gradient import (
    copied,
    trainable_parameters,
    weighted_gradient,
)

__all__ = [
    "Batch",
    "Gradient",
    "Losses",
    "Metric",
    "MicroBatches",
    "OrthogonalStep",
    "PoolStep",
    "Rises",
    "Scope",
    "Weights",
    "copied",
    "diagonal_fisher",
    "norm",
    "orthogonal_part",
    "per_utterance_gradients",
    "pieces_of",
    "pool_step",
    "stacked_step",
    "streaming_step",
    "trainable_parameters",
    "weighted_gradient",
]
