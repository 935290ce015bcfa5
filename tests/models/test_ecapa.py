"""ECAPA-TDNN: SpeechBrain's embeddings, an utterance in a batch is the utterance alone."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import pipeline

from asr_unlearn.data.augmentation import Crop
from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.gradients import (
    per_utterance_gradients,
    stacked_step,
    streaming_step,
    trainable_parameters,
)
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.models.config import is_bare_config, read_config, task_of
from asr_unlearn.models.ecapa import EcapaConfig, mirrored
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import (
    ModelError,
    load_model,
    model_from_config,
    pretrained_model,
    save_model,
)
from asr_unlearn.models.speechbrain_checkpoint import SETTINGS, WEIGHTS
from asr_unlearn.models.tasks import Classification, task_for
from asr_unlearn.training.trainer import Training
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.tiny_model import tiny_ecapa_options

SIZES = tiny_ecapa_options()
WAVES = {"a": 9_000, "b": 5_500, "c": 7_321, "d": 8_900}
PIECES = Crop(samples=5_000, frames=32)
SPEAKERS = ["anna", "bert", "cleo", "dora"]


def utterances():
    return [
        Utterance(id=name, audio=Path(name), speaker=speaker, seconds=samples / 16_000)
        for (name, samples), speaker in zip(WAVES.items(), SPEAKERS, strict=True)
    ]


def load(utterance):
    rng = np.random.default_rng(WAVES[utterance.id])
    return rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


def test_an_utterance_that_cannot_be_continued_is_named(tmp_path):
    """Its mirror image must reach as far as a convolution does: 5 frames of 10 ms."""
    EcapaConfig(**SIZES).save_pretrained(tmp_path)
    model, extractor = model_from_config(str(tmp_path), SPEAKERS, 0, "classification")
    task = task_for(model.eval(), extractor)
    with pytest.raises(ValueError, match="utterance a: 639 samples are too few"):
        Inputs(task, load=lambda u: load(u)[:639])(utterances()[0])
    example = Inputs(task, load=lambda u: load(u)[:640])(utterances()[0])
    assert torch.isfinite(task.losses(collate([example]))).all()


def used(model):
    """Running statistics as after some training: those of a fresh model are 0 and 1."""
    generator = torch.Generator().manual_seed(3)
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model


@pytest.fixture
def task(tmp_path):
    folder = tmp_path / "config"
    EcapaConfig(**SIZES, architectures=["EcapaForAudioClassification"]).save_pretrained(folder)
    assert is_bare_config(str(folder))
    assert task_of(read_config(str(folder))) == "classification"
    model, extractor = model_from_config(str(folder), SPEAKERS, 0)
    return task_for(used(model).eval(), extractor)


def batches(task):
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    return collate(examples), [collate([e]) for e in examples]


def test_a_batch_is_its_utterances_alone(task):
    assert isinstance(task, Classification)
    assert task.batches_are_exact
    together, alone = batches(task)
    with torch.no_grad():
        losses, names, _ = task.score(together)
        singly = [task.score(batch) for batch in alone]
        states, true = task.states(together)
        embeddings = task.embeddings(together)
        apart = torch.cat([task.embeddings(batch) for batch in alone])
    torch.testing.assert_close(
        losses, torch.cat([loss for loss, _, _ in singly]), rtol=1e-4, atol=1e-4
    )
    assert names == [name for _, (name,), _ in singly]
    assert true.all()
    torch.testing.assert_close(states[:, 0], apart, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(embeddings, apart, rtol=1e-4, atol=1e-5)
    # What SpeechBrain's own batches would have been off by.
    task.model._continued = None
    frames = together.samples // 160 + 1
    features = task.model.features(together.inputs, frames)
    with torch.no_grad():
        plain = task.model.ecapa(features, (frames - 0.5) / features.shape[1])[:, 0]
    assert (plain - apart)[1:].abs().max() > 1e-3


def test_an_utterance_goes_on_as_its_mirror_image():
    x = torch.arange(12.0).view(1, 1, 12).repeat(2, 1, 1)
    rows = mirrored(x, torch.tensor([5, 12]))[:, 0]
    assert rows[0, :9].tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0]
    assert rows[1].tolist() == list(range(12))


def test_gradients_of_utterances_are_those_of_the_loop(task):
    together, alone = batches(task)
    found = streaming_step(task.model, task.losses, alone[0], together)
    expected = stacked_step(task.model, task.losses, alone[0], together)
    rows, losses = per_utterance_gradients(task.model, task.losses, together)
    assert set(found.retain) == set(trainable_parameters(task.model))
    mean = torch.cat([g.flatten() for g in found.retain.values()])
    assert mean.count_nonzero() > 0.5 * mean.numel()
    assert (mean - rows.mean(0)).norm() < 1e-4 * mean.norm()
    torch.testing.assert_close(found.retain_losses, losses)
    for name, step in found.orthogonal.items():
        torch.testing.assert_close(step, expected.orthogonal[name], rtol=1e-2, atol=1e-4)
    single, _ = per_utterance_gradients(task.model, task.losses, alone[1])
    assert (rows[1] - single[0]).norm() < 1e-3 * single.norm()


def test_a_saved_model_says_the_same_and_so_does_the_pipeline(task, tmp_path):
    together, _ = batches(task)
    _, names = says_the_same_when_loaded(task, together, tmp_path / "saved")
    classify = pipeline("audio-classification", model=str(tmp_path / "saved"))
    for utterance, name in zip(utterances(), names, strict=True):
        assert classify(load(utterance))[0]["label"] == name


def test_other_speakers_get_another_head_and_the_same_body(task, tmp_path):
    save_model(task.model, task.processor, tmp_path / "saved")
    model, _ = pretrained_model(str(tmp_path / "saved"), ["eve", "fred"], "classification")
    assert model.classifier.weight.shape == (2, 10)
    assert torch.isfinite(model.classifier.weight).all()
    body = task.model.ecapa.state_dict()
    assert all(torch.equal(t, body[n]) for n, t in model.ecapa.state_dict().items())


def test_a_config_and_a_seed_give_one_model(tmp_path):
    EcapaConfig(**SIZES, architectures=["EcapaForAudioClassification"]).save_pretrained(tmp_path)
    first, second, other = (model_from_config(str(tmp_path), SPEAKERS, s)[0] for s in (0, 0, 1))
    assert all(
        torch.equal(a, b) for a, b in zip(*(m.parameters() for m in (first, second)), strict=True)
    )
    assert not torch.equal(first.ecapa.fc.conv.weight, other.ecapa.fc.conv.weight)


def test_a_copy_has_its_own_padding(task):
    together, _ = batches(task)
    teacher = task.with_model(copy.deepcopy(task.model))
    with torch.no_grad():
        assert torch.equal(teacher.logits(together), task.logits(together))


def test_all_layers_but_the_front_end_are_listed(task):
    listed = {p for layer in task.layers() for p in layer.parameters()}
    assert listed == set(task.model.parameters())
    task.freeze_front_end()
    assert task.front_end_is_frozen
    assert all(p.requires_grad for p in task.model.parameters())
    assert task.cache_key() is None


@pytest.mark.parametrize(
    ("changes", "utterances", "learned"),
    [([], utterances(), False), ([], utterances()[:1], False), ([PIECES], utterances(), True)],
)
def test_statistics_are_learned_from_crops_alone(task, tmp_path, changes, utterances, learned):
    before = {name: buffer.clone() for name, buffer in task.model.named_buffers()}
    method = Finetune(lr=1e-3, epochs=1)
    inputs = Inputs(task, load=load)
    parts = {"retain": utterances}
    Training(task, method, parts, inputs, tmp_path / "run", seed=0, changes=changes)()
    changed = {n for n, buffer in task.model.named_buffers() if not torch.equal(buffer, before[n])}
    assert changed == (set(before) if learned else set())


HYPERPARAMS = """
sample_rate: 16000
n_mels: 12
pretrained_path: {folder}
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [16, 16, 16, 16, 24]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 8
    res2net_scale: 4
    se_channels: 8
    lin_neurons: 10
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 10
    out_neurons: 3
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
"""


@pytest.fixture
def checkpoint(tmp_path):
    """A folder as SpeechBrain publishes it, with random weights."""
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    folder = tmp_path / "spkrec"
    folder.mkdir()
    torch.manual_seed(5)
    sizes = {key: value for key, value in SIZES.items() if key != "n_mels"}
    torch.save(used(ECAPA_TDNN(12, **sizes)).state_dict(), folder / WEIGHTS)
    (folder / SETTINGS).write_text(HYPERPARAMS.format(folder=folder))
    (folder / "config.json").write_text('{"speechbrain_interface": "EncoderClassifier"}')
    return folder


@pytest.mark.filterwarnings("ignore")
def test_a_speechbrain_checkpoint_gives_speechbrains_embeddings(checkpoint, tmp_path):
    from speechbrain.inference.classifiers import EncoderClassifier

    assert not is_bare_config(str(checkpoint))
    assert task_of(read_config(str(checkpoint))) == "classification"
    task = task_for(*pretrained_model(str(checkpoint), SPEAKERS))
    task.model.eval()
    theirs = EncoderClassifier.from_hparams(str(checkpoint), savedir=str(tmp_path / "their"))
    together, _ = batches(task)
    with torch.no_grad():
        found = task.embeddings(together)
        expected = [theirs.encode_batch(torch.tensor(load(u))[None])[0, 0] for u in utterances()]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_checkpoints_that_cannot_be_taken_are_explained(checkpoint, tmp_path):
    with pytest.raises(ModelError, match="fine-tune it to the corpus' speakers"):
        load_model(str(checkpoint))
    with pytest.raises(ModelError, match="speechbrain/no-such-model"):
        read_config("speechbrain/no-such-model")
    settings = (checkpoint / SETTINGS).read_text()
    (checkpoint / SETTINGS).write_text(settings.replace("lin_neurons: 10", "lin_neurons: 11"))
    with pytest.raises(ModelError, match="does not fit"):
        pretrained_model(str(checkpoint), SPEAKERS)
    (checkpoint / SETTINGS).write_text("embedding_model: !new:speechbrain.lobes.Xvector {a: 1}")
    with pytest.raises(ModelError, match="no ECAPA-TDNN"):
        read_config(str(checkpoint))
