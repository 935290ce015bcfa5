"""U-LiRA: chance where unlearning is retraining, certain where nothing was unlearned."""

from pathlib import Path

import numpy as np
import pytest

from asr_unlearn.evaluation.attacks.shadows import Shadows
from asr_unlearn.evaluation.attacks.unlearned_shadows import UnlearnedShadows
from asr_unlearn.metrics.mia import Observation
from tests.support.attacked_models import run_of

UTTERANCES, MODELS, GAIN = 200, 16, 6.0


def losses(phi):
    return np.log1p(np.exp(-phi))


def made_up(left):
    """Shadow models and a model's rows; `left` is the share of memory that unlearning leaves."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=UTTERANCES)
    names = tuple(f"u{i:03}" for i in range(UTTERANCES))
    speakers = tuple(f"s{i // 10}" for i in range(UTTERANCES))
    member = np.zeros((MODELS, UTTERANCES), dtype=bool)
    for row in range(0, MODELS, 2):
        member[row] = np.repeat(rng.permutation(UTTERANCES // 10) % 2 == 0, 10)
        member[row + 1] = ~member[row]
    # The first half of the utterances is memorised, the others are not.
    gain = np.where(np.arange(UTTERANCES) % 10 < 5, GAIN, 0.0)

    def noisy(inside, share):
        return losses(difficulty + share * gain * inside + rng.normal(size=inside.shape))

    trained = Shadows(names, speakers, noisy(member, 1.0), member)
    unlearned = Shadows(names, speakers, noisy(member, left), member)
    part = np.arange(UTTERANCES) < UTTERANCES // 2
    rows, retrained = (
        [
            {"id": n, "speaker": s, "part": "forget" if p else "unseen", "loss": float(v)}
            for n, s, p, v in zip(names, speakers, part, noisy(part, share), strict=True)
        ]
        for share in (left, 0.0)
    )
    return UnlearnedShadows(trained, unlearned), rows, retrained


def groups(rows):
    alike = {"seconds": 1.0, "labels": 5, "confidence": 0.5, "entropy": 0.5, "error_rate": 0.0}
    seen = [Observation(id=r["id"], speaker=r["speaker"], loss=r["loss"], **alike) for r in rows]
    half = UTTERANCES // 2
    return seen[:half], seen[half:]


def test_where_unlearning_is_retraining_it_is_chance():
    shadows, rows, retrained = made_up(left=0.0)
    found = shadows.figures(rows, retrained, *groups(rows))
    assert shadows.attack(rows, *groups(rows)).auc == pytest.approx(0.5, abs=0.12)
    assert found["models"] == MODELS
    # By chance alone, with eight models on either side: 1 / 8.
    assert found["klom"] == pytest.approx(1 / 8, abs=0.1)
    assert found["klom"] == pytest.approx(found["klom_by_chance"], abs=0.1)
    by_chance = found["forgetting_quality_by_chance"]
    assert found["forgetting_quality"] == pytest.approx(by_chance, abs=0.05)
    assert by_chance < 0.4
    # Members and others are chosen alike, so that being memorised does not tell them apart.
    assert found["memorised_utterances"] == UTTERANCES // 2 // 10
    for name in ("memorised_auc", "memorised_retrained_auc"):
        assert found[name] == pytest.approx(0.5, abs=0.35)


def test_where_nothing_was_unlearned_it_finds_what_is_memorised():
    shadows, rows, retrained = made_up(left=1.0)
    found = shadows.figures(rows, retrained, *groups(rows))
    assert 0.7 < shadows.attack(rows, *groups(rows)).auc < 0.9
    assert found["memorised_auc"] > 0.98 > 0.85 > found["memorised_retrained_auc"]
    assert found["klom"] > 5
    assert found["forgetting_quality"] < found["forgetting_quality_by_chance"]
    # A model that was trained on none of them is like those that were not either.
    assert shadows.attack(retrained, *groups(retrained)).auc == pytest.approx(0.5, abs=0.12)


def test_shadows_are_unlearned_as_the_model_was(data, evaluated):
    """With its method and options, each from its own shadow model and for its own members."""
    assert evaluated["forgotten"]["unlearned_shadows"]["models"] == 2
    own = run_of(data.cache / "forgotten")
    for number in range(2):
        run = run_of(data.cache / "unlearned_shadows" / "forgotten" / str(number))
        assert run["options"]["alpha"] == own["options"]["alpha"]
        assert Path(run["options"]["model"]).name == str(number)
