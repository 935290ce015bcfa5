"""Negative preference optimisation: the transcripts of the forget set are answers to avoid."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients import Weights, pieces_of
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.neggrad_plus import NegGradPlus
from asr_unlearn.methods.option_types import Positive, Rate, Share
from asr_unlearn.runtime.distributed import gathered


@dataclass(kw_only=True)
class NPO(NegGradPlus):
    """Minimise α·ℓ_R + (1 − α)·(2/β)·log(1 + (π/π₀)^β) (NPO; Zhang et al., arXiv 2404.05868).

    π is the probability that the model gives to the transcript of a forget utterance, π₀ what the
    original gives to it: log π = −n·ℓ with n the number of labels, and ℓ their mean loss. The
    gradient is that of ascent on n·ℓ with the weight 2r/(1 + r), r = (π/π₀)^β, which falls from 1
    towards 0 as the utterance is forgotten; with β → 0 this is ascent.

    Attributes:
        alpha: α, share of the retain batch; 0 for the paper's loss on the forget set alone, which
            needs no retain data.
        beta: β; the larger, the sooner ascent on an utterance ends.
    """

    name: ClassVar[str] = "npo"
    paper: ClassVar[str] = "arXiv 2404.05868"

    lr: Rate = "auto"
    epochs: Positive = 6.0
    alpha: Share = 0.5
    beta: Positive = 0.1

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.1, 0.9), "beta": (0.01, 1.0)}

    def prepare(self, context: TrainingContext) -> None:
        self._original = dict(context.original_losses("forget"))

    def forget_weights(self, step: Step) -> Weights:
        """2r/(1 + r)·n/B for the utterances of all processes."""
        pieces = pieces_of(step.batch("forget"))
        labels = gathered([n for batch in pieces for n in batch.target_lengths.tolist()])
        original = torch.tensor(
            [self._original[name] for name in step.ids("forget")], dtype=torch.float64
        )
        lengths = torch.tensor(labels, dtype=torch.float64)

        def weights(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
            log_ratio = -lengths * (losses.double().cpu() - original)
            # r/(1 + r) without overflow.
            share = torch.sigmoid(self.beta * log_ratio)
            return (2 * share * lengths / len(lengths)).to(losses)

        return weights
