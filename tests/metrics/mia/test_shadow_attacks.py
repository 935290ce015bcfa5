"""LiRA and RMIA: optimal on Gaussians, and as computed by hand."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.mia import likelihood_ratios, relative_ratios


def test_lira_is_the_best_there_is_on_gaussians():
    """φ is normal with each utterance's own mean, one higher in the models trained on it."""
    rng = np.random.default_rng(0)
    utterances, models, gain = 4000, 40, 2.0
    difficulty = 5 * rng.normal(size=utterances)
    member = np.zeros((models, utterances), dtype=bool)
    for row in range(0, models, 2):
        member[row] = rng.random(utterances) < 0.5
        member[row + 1] = ~member[row]
    truth = rng.random(utterances) < 0.5

    def losses(inside):
        phi = difficulty + gain * inside + rng.normal(size=inside.shape)
        return np.log1p(np.exp(-phi))

    target, shadows = losses(truth), losses(member)
    best = norm.cdf(gain / np.sqrt(2))
    assert roc_auc_score(truth, -target) < 0.65
    lira = roc_auc_score(truth, likelihood_ratios(target, shadows, member))
    assert lira == pytest.approx(best, abs=0.015)
    everything = np.ones((utterances, utterances), dtype=bool)
    rmia = roc_auc_score(truth, relative_ratios(target, shadows, everything))
    assert 0.65 < rmia <= best + 0.015


def test_lira_on_two_utterances_by_hand():
    """φ: 2 and 0 in, 0 and −2 out; the spread of all four is √2, freedom one each."""
    phi = np.array([[2.0, -2.0], [0.0, 0.0], [0.0, 0.0], [-2.0, 2.0]])
    member = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    target = np.array([1.0, -1.0])
    to_loss = lambda x: np.log1p(np.exp(-x))  # noqa: E731
    found = likelihood_ratios(to_loss(target), to_loss(phi), member)
    # First: mean 1 in and −1 out, the same spread: ((1+1)² − 0) / (2·2) = 1; second the reverse
    # of it: mean 1 in, −1 out, and φ is −1.
    assert found == pytest.approx([1.0, -1.0])
    with pytest.raises(ValueError, match="in some shadow models"):
        likelihood_ratios(to_loss(target), to_loss(phi), np.ones_like(member))


def test_rmia_by_hand():
    """Ratios e, 1 and e^-2 of three utterances; the first two have the same speaker."""
    losses, shadows = np.array([0.0, 1.0, 3.0]), np.ones((2, 3))
    comparable = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=bool)
    assert relative_ratios(losses, shadows, comparable).tolist() == [1.0, 1.0, 0.0]
    # The second is as hard for the shadow models as for the model, and the third is easy.
    shadows = np.array([[1.0, 3.5, 0.5]] * 2)
    found = relative_ratios(losses, shadows, ~np.eye(3, dtype=bool))
    assert found.tolist() == [0.5, 1.0, 0.0]
    with pytest.raises(ValueError, match="to be compared with"):
        relative_ratios(losses, shadows, np.zeros_like(comparable))
