"""Classifiers: an utterance in a batch is the utterance alone, and its label the pipeline's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import AutoConfig, WhisperFeatureExtractor, pipeline

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.gradients import (
    per_utterance_gradients,
    stacked_step,
    streaming_step,
    trainable_parameters,
)
from asr_unlearn.metrics.wer import rate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.waveform import LEAKS_PADDING
from asr_unlearn.models.inference import mean_score, score
from asr_unlearn.models.loading import (
    model_from_config,
    pretrained_model,
    save_model,
    vocabulary_of,
)
from asr_unlearn.models.tasks import Classification, task_for
from asr_unlearn.runtime.errors import InputError
from tests.support.rounding import tolerance
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.tiny_model import tiny_options, tiny_whisper_options

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

FAMILIES = ["wav2vec2", "hubert", "wavlm", "unispeech-sat", "data2vec-audio", "whisper"]
WAVES = {"a": 9_000, "b": 5_500, "c": 7_321}
LABELS = {"a": "yes", "b": "no", "c": "left"}


def config(family, norm="layer", **options):
    if family == "whisper":
        return AutoConfig.for_model(family, **tiny_whisper_options() | options)
    sizes = tiny_options() | {"feat_extract_norm": norm, "classifier_proj_size": 8}
    if family == "data2vec-audio":
        sizes["conv_pos_kernel_size"] = 7
    return AutoConfig.for_model(family, **sizes, **options)


def build(folder, family, norm="layer", seed=0, **options):
    config(family, norm, **options).save_pretrained(folder)
    names = vocabulary_of(utterances(), "classification")
    model, processor = model_from_config(str(folder), names, seed, "classification")
    with torch.no_grad():
        # As initialised all classes are alike.
        model.projector.weight.normal_(std=2.0)
        model.classifier.weight.normal_(std=2.0)
    return task_for(model.eval(), processor)


def utterances():
    return [
        Utterance(
            id=name, audio=Path(name), speaker=f"s{name}", seconds=s / 16_000, label=LABELS[name]
        )
        for name, s in WAVES.items()
    ]


def load(utterance):
    rng = np.random.default_rng(WAVES[utterance.id])
    return rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


def batches(task):
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    return collate(examples), [collate([e]) for e in examples]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_its_utterances_alone(tmp_path, family, norm, frozen):
    task = build(tmp_path, family, norm)
    if frozen:
        task.freeze_front_end()
    assert task.front_end_is_frozen == frozen
    together, alone = batches(task)
    with torch.no_grad():
        losses, names, _ = task.score(together)
        singly = [task.score(batch) for batch in alone]
    exact = family not in LEAKS_PADDING
    assert task.batches_are_exact == exact
    expected = torch.cat([one.losses for one in singly])
    allowed = tolerance(task, together) if exact else {"rtol": 0.5, "atol": 0.5}
    torch.testing.assert_close(losses, expected, **allowed)
    if exact:
        assert names == [name for _, (name,), _ in singly]
    assert set(names) <= set(LABELS.values())


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in LEAKS_PADDING])
def test_loss_and_prediction_are_those_of_the_model_called_on_its_inputs(tmp_path, family):
    task = build(tmp_path, family, use_weighted_layer_sum=True)
    together, _ = batches(task)
    losses, names, sure = task.score(together)
    distribution, true = task.distributions(together)
    allowed = tolerance(task, together)
    assert distribution.shape == (3, 1, 3)
    assert true.all()
    torch.testing.assert_close(sure.confidence, distribution.exp().amax(-1)[:, 0], **allowed)
    for i, utterance in enumerate(utterances()):
        inputs = task.processor(load(utterance), sampling_rate=16_000, return_tensors="pt")
        logits = task.model(**inputs).logits
        label = task.model.config.label2id[utterance.label]
        expected = F.cross_entropy(logits[0], torch.tensor(label))
        torch.testing.assert_close(losses[i], expected, **allowed)
        torch.testing.assert_close(distribution[i], logits.log_softmax(-1), **allowed)
        assert names[i] == task.model.config.id2label[int(logits.argmax())]


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_gradients_of_utterances_are_those_of_the_loop(tmp_path, family):
    task = build(tmp_path, family)
    together, alone = batches(task)
    forget = alone[0]
    found = streaming_step(task.model, task.losses, forget, together)
    expected = stacked_step(task.model, task.losses, forget, together)
    rows, losses = per_utterance_gradients(task.model, task.losses, together)
    assert set(found.retain) == set(expected.retain) == set(trainable_parameters(task.model))
    mean = torch.cat([g.flatten() for g in found.retain.values()])
    assert (mean - rows.mean(0)).norm() < 1e-4 * mean.norm()
    torch.testing.assert_close(found.retain_losses, losses, **tolerance(task, together))
    single, _ = per_utterance_gradients(task.model, task.losses, alone[1])
    assert (rows[1] - single[0]).norm() < 1e-3 * single.norm()


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_a_saved_model_says_the_same_and_so_does_the_pipeline(tmp_path, family):
    task = build(tmp_path, family)
    together, _ = batches(task)
    loaded, names = says_the_same_when_loaded(task, together, tmp_path / "saved")
    assert isinstance(loaded, Classification)
    classify = pipeline("audio-classification", model=str(tmp_path / "saved"))
    for utterance, name in zip(utterances(), names, strict=True):
        assert classify(load(utterance))[0]["label"] == name


def test_the_speaker_is_the_label_where_there_is_none(tmp_path):
    task = build(tmp_path, "wav2vec2")
    assert task.model.config.label2id == {"left": 0, "no": 1, "yes": 2}
    labelled, other = utterances()[:2]
    assert task.target(labelled).tolist() == [2]
    assert task.reference(labelled) == "yes"
    spoken = Utterance(id="u9", audio=Path("x"), speaker="anna", seconds=1.0)
    assert task.reference(spoken) == "anna"
    assert vocabulary_of([spoken, other], "classification") == ["anna", "no"]
    with pytest.raises(ValueError, match="utterance u9: the model has no class 'anna'") as said:
        task.target(spoken)
    assert "id2label" not in str(said.value)
    assert task.fits(task.target(labelled), samples=1)
    task.model.config.label2id = {"LABEL_0": 0, "LABEL_1": 1}
    with pytest.raises(ValueError, match="LABEL_1 …; set id2label and label2id in its config"):
        task.target(spoken)


def test_classes_may_be_numbered_by_texts(tmp_path):
    """As in the transformers guide to audio classification."""
    task = build(tmp_path, "wav2vec2")
    task.model.config.label2id = {"left": "0", "no": "1", "yes": "2"}
    assert task.target(utterances()[0]).tolist() == [2]


def test_a_class_beyond_the_head_is_refused(tmp_path):
    task = build(tmp_path, "wav2vec2")
    task.model.config.label2id = {"left": 0, "no": 1, "yes": 3}
    with pytest.raises(InputError, match="a: the head has 3 outputs, label2id has the label 3"):
        task.target(utterances()[0])


def test_a_recogniser_becomes_a_classifier_and_a_classifier_learns_other_classes(tmp_path):
    config("wav2vec2").save_pretrained(tmp_path)
    recogniser, processor = model_from_config(str(tmp_path), "AB", seed=0)
    save_model(recogniser, processor, tmp_path / "ctc")
    model, extractor = pretrained_model(str(tmp_path / "ctc"), ["x", "y", "z"], "classification")
    assert model.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert model.classifier.out_features == 3
    body = recogniser.wav2vec2.state_dict()
    assert all(torch.equal(t, body[n]) for n, t in model.wav2vec2.state_dict().items())
    save_model(model, extractor, tmp_path / "xyz")
    kept, _ = pretrained_model(str(tmp_path / "xyz"), ["x", "z"], "classification")
    assert torch.equal(kept.classifier.weight, model.classifier.weight)
    # As many, but others: the head must not say "u" where it has learned "x".
    changed, _ = pretrained_model(str(tmp_path / "xyz"), ["u", "v", "w"], "classification")
    assert changed.config.id2label[0] == "u"
    assert not torch.equal(changed.classifier.weight, model.classifier.weight)
    again, _ = pretrained_model(str(tmp_path / "xyz"), None)
    assert type(again) is type(model)


def test_the_error_rate_is_one_minus_accuracy(tmp_path):
    task = build(tmp_path, "wav2vec2")
    # Labels of two words, of which one is often right.
    task.model.config.id2label = {0: "turn left", 1: "turn right", 2: "go"}
    task.model.config.label2id = {"turn left": 0, "turn right": 1, "go": 2}
    given = [replace(u, label="turn right") for u in utterances()]
    scores = score(task, Inputs(task, load=load), given)
    accuracy = sum(s.hypothesis == "turn right" for s in scores) / 3
    assert {s.hypothesis for s in scores} - {"turn right"}
    for unit in ("word", "character"):
        assert rate([s.errors(unit) for s in scores]) == pytest.approx(1 - accuracy)
    assert mean_score(scores).cer == pytest.approx(1 - accuracy)


def test_a_whisper_recogniser_becomes_a_classifier_with_its_encoder(tmp_path):
    config("whisper", max_source_positions=25).save_pretrained(tmp_path)
    spectrogram = WhisperFeatureExtractor(20, hop_length=320, chunk_length=1)
    spectrogram.save_pretrained(tmp_path)
    recogniser, processor = model_from_config(str(tmp_path), "AB", seed=0)
    save_model(recogniser, processor, tmp_path / "seq2seq")
    names = vocabulary_of(utterances(), "classification")
    source = str(tmp_path / "seq2seq")
    task = task_for(*pretrained_model(source, names, "classification"))
    assert task.front_end.extractor.hop_length == 320
    taken = recogniser.model.encoder.conv1.weight
    assert torch.equal(task.model.encoder.conv1.weight, taken)
    assert torch.isfinite(task.losses(batches(task)[0])).all()
