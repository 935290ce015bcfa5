"""Neighbours of recordings: what changes, what does not, and what their losses give away."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.evaluation.attacks.neighbours import CHANGES, PARTS, Neighbours, changed
from asr_unlearn.metrics.mia import neighbours_attack
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import measure_losses
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from tests.support.attacked_models import CPU
from tests.support.observations import group, unseen


@pytest.fixture
def wave():
    return np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


def test_the_changes_are_those_that_their_names_say(wave):
    quieter = changed(wave, "gain 0.5", "a")
    np.testing.assert_array_equal(quieter, 0.5 * wave)
    assert len(changed(wave, "speed 1.05", "a")) == pytest.approx(16_000 / 1.05, abs=2)
    for level in (20, 30):
        noise = changed(wave, f"noise {level} dB", "a") - wave
        ratio = 10 * np.log10((wave**2).mean() / (noise**2).mean())
        assert ratio == pytest.approx(level, abs=0.2)
    assert len(CHANGES) == 4
    for change in CHANGES:
        found = changed(wave, change, "a")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, changed(wave, change, "a"))


def test_noise_differs_from_utterance_to_utterance(wave):
    first, second = (changed(wave, "noise 20 dB", name) - wave for name in ("a", "b"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_silence_stays_silent():
    assert not changed(np.zeros(100, np.float32), "noise 20 dB", "a").any()


def test_losses_are_those_of_the_changed_recordings(corpus, tiny_config, tmp_path):
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed=0)
    save_model(model, processor, tmp_path / "original")
    saved = SavedModel("original", 0, tmp_path / "original", cache=tmp_path / "cache")
    job = Neighbours(saved, data, CPU)
    job()
    assert job.is_done()
    found, utterances = job.found(), data.part(*PARTS)
    assert found.keys() == {u.id for u in utterances}
    task = saved.task(CPU)
    for number, change in enumerate(CHANGES):
        inputs = Inputs(task, load=lambda u, how=change: changed(load_audio(u.audio), how, u.id))
        for one in measure_losses(task, inputs, utterances):
            losses = found[one.utterance.id]
            assert len(losses) == len(CHANGES)
            assert losses[number] == pytest.approx(one.loss, rel=1e-5)
    (tmp_path / "original" / "config.json").write_text(
        json.dumps({**json.loads((tmp_path / "original" / "config.json").read_text()), "x": 1})
    )
    assert not job.is_done()


def test_the_score_is_the_rise_of_the_loss():
    rng = np.random.default_rng(0)
    members, others = group(rng, rng.exponential(size=20)), unseen(rng, rng.exponential(size=25))
    nearby = {o.id: list(o.loss + rng.exponential(size=3)) for o in members + others}
    rises = [np.mean(nearby[o.id]) - o.loss for o in members + others]
    attack = neighbours_attack(members, others, nearby)
    assert attack.auc == pytest.approx(roc_auc_score([1] * 20 + [0] * 25, rises))
    assert attack.interval[0] <= attack.auc <= attack.interval[1]


def test_what_only_the_very_recording_shows_is_found():
    """Where both groups have the same losses, and those of members rise nearby."""
    rng = np.random.default_rng(0)
    losses = rng.exponential(size=60)
    members, others = group(rng, losses), unseen(rng, losses)
    nearby = {o.id: [o.loss + 0.3] for o in members} | {o.id: [o.loss] for o in others}
    assert neighbours_attack(members, others, nearby).auc == 1.0
