"""The small recogniser: an utterance in a batch is the utterance alone, without its padding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_unlearn.data.augmentation import PolarityAndShift
from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.config import task_of
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import CTC, task_for
from asr_unlearn.models.tdnn import TdnnConfig
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.tiny_model import tiny_tdnn_options

WAVES = {"a": 9_000, "b": 5_500, "c": 7_321}


def utterances():
    return [
        Utterance(id=name, audio=Path(name), speaker="s", seconds=samples / 16_000, text="AB CAD")
        for name, samples in WAVES.items()
    ]


def load(utterance):
    rng = np.random.default_rng(WAVES[utterance.id])
    return rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tdnn")
    config = TdnnConfig(**tiny_tdnn_options(), architectures=["TdnnForCTC"])
    config.save_pretrained(folder)
    assert task_of(config) == "ctc"
    return task_for(*model_from_config(str(folder), "ABCD", 0))


def examples(task):
    inputs = Inputs(task, load=load)
    return [inputs(utterance) for utterance in utterances()]


def test_a_batch_is_its_utterances_alone(task):
    task.model.eval()
    assert isinstance(task, CTC)
    assert task.batches_are_exact
    batch = collate(examples(task))
    with torch.no_grad():
        losses, texts, _ = task.score(batch)
        alone = [task.score(collate([example])) for example in examples(task)]
    torch.testing.assert_close(losses, torch.cat([one.losses for one in alone]))
    assert texts == [text for one in alone for text in one.texts]


def test_the_padding_does_not_change_the_output(task):
    task.model.eval()
    batch = collate(examples(task))
    noisy = batch.inputs.clone()
    for row, samples in zip(noisy, batch.samples.tolist(), strict=True):
        row[samples // 160 + 1 :] = 7.0
    with torch.no_grad():
        expected = task.losses(batch)
        torch.testing.assert_close(task.losses(replace(batch, inputs=noisy)), expected)


@settings(max_examples=30)
@given(st.integers(1, 4_000))
def test_frames_are_counted_as_the_model_makes_them(task, samples):
    features = task.model.features(torch.ones(samples))
    output = task.model(features[None], torch.tensor([len(features)])).logits
    assert output.shape[1] == int(task.frames(torch.tensor([samples])))


def test_the_level_of_the_wave_does_not_matter(task):
    wave = torch.from_numpy(load(utterances()[0]))
    torch.testing.assert_close(
        task.model.features(0.1 * wave), task.model.features(wave), rtol=1e-3, atol=1e-3
    )


def test_only_training_hides_bands_and_stretches(task):
    batch = collate(examples(task))
    task.model.eval()
    losses = [task.losses(batch) for _ in range(2)]
    torch.testing.assert_close(*losses, rtol=0, atol=0)
    task.model.train()
    hidden = task.model._masked(torch.ones(3, 100, 12))
    assert 0 < int((hidden == 0).sum()) < hidden.numel()


def test_it_is_loaded_as_it_was_saved(task, tmp_path):
    task.model.eval()
    says_the_same_when_loaded(task, collate(examples(task)), tmp_path)


def test_a_change_of_the_wave_is_refused(task):
    with pytest.raises(ValueError, match="this model is given features"):
        PolarityAndShift()(examples(task)[0], [0])
