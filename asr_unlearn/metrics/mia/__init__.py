"""Membership inference attacks: was an utterance in the model's training data?

Members are the forget utterances, non-members those of unseen speakers. Each attack gives an
utterance a score, higher for likelier members. The direction is fixed in advance: an AUC below 0.5
is reported as it is.
"""

from asr_unlearn.metrics.mia.classifier import classifier_attack
from asr_unlearn.metrics.mia.informed import KnownUnlearning, informed_attack
from asr_unlearn.metrics.mia.lira import likelihood_ratios, logit_scaled
from asr_unlearn.metrics.mia.loss import loss_attack
from asr_unlearn.metrics.mia.matching import Observation, length_auc, matched
from asr_unlearn.metrics.mia.neighbours import neighbours_attack
from asr_unlearn.metrics.mia.rmia import relative_ratios
from asr_unlearn.metrics.mia.roc import Attack, attack_by_scores
from asr_unlearn.metrics.mia.speakers import SpeakerAttack

__all__ = [
    "Attack",
    "KnownUnlearning",
    "Observation",
    "SpeakerAttack",
    "attack_by_scores",
    "classifier_attack",
    "informed_attack",
    "length_auc",
    "likelihood_ratios",
    "logit_scaled",
    "loss_attack",
    "matched",
    "neighbours_attack",
    "relative_ratios",
]
