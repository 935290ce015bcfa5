"""Whisper: an utterance in a batch is the utterance alone, and its transcript the pipeline's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import (
    WhisperFeatureExtractor,
    pipeline,
)

from asr_unlearn import Stop, unlearn
from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.gradients import (
    per_utterance_gradients,
    stacked_step,
    streaming_step,
    trainable_parameters,
)
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import measure_losses, score
from asr_unlearn.models.targets import check_targets
from asr_unlearn.training.checkpoint import load_weights, save_weights
from tests.support.rounding import tolerance
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.whisper_task import TEXTS, batches, build, load, utterances


@pytest.fixture
def task(tmp_path):
    return build(tmp_path)


def test_features_are_those_of_the_padded_wave(task):
    together, _ = batches(task)
    extractor = task.processor.feature_extractor
    waves = [load(u) for u in utterances()]
    expected = extractor(waves, sampling_rate=16_000, return_tensors="pt").input_features
    torch.testing.assert_close(task.front_end.features(together), expected, rtol=0, atol=1e-6)
    assert together.inputs.shape == (4, 100, 20)
    # What is stored is the utterance, not the silence behind it: (5500 + 200) / 160 frames.
    assert Inputs(task, load=load)(utterances()[1]).input.shape == (36, 20)


@pytest.mark.parametrize("loudness", [1e-7, 1e-3, 1.0])
@pytest.mark.parametrize("hop", [160, 320])
def test_silence_is_as_the_extractor_makes_it(task, loudness, hop):
    task.front_end.extractor = WhisperFeatureExtractor(20, hop_length=hop, chunk_length=hop // 160)
    for samples in (320, 15_999, 16_000):
        wave = loudness * load(utterances()[3])[:samples]
        encoded = task.front_end.encode(wave)
        batch = collate([Inputs(task, load=lambda _, w=wave: w)(utterances()[0])])
        expected = task.front_end.extractor(wave, sampling_rate=16_000, return_tensors="pt")
        assert len(encoded) <= 100
        found = task.front_end.features(batch)
        torch.testing.assert_close(found, expected.input_features, rtol=0, atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_batch_is_its_utterances_alone(task, frozen):
    if frozen:
        task.freeze_front_end()
    together, alone = batches(task)
    with torch.no_grad():
        losses, texts, sure = task.score(together)
        singly = [task.score(batch) for batch in alone]
        allowed = tolerance(task, together)
        torch.testing.assert_close(task.losses(together), losses, **allowed)
    torch.testing.assert_close(losses, torch.cat([one.losses for one in singly]), **allowed)
    assert texts == [text for _, (text,), _ in singly]
    entropies = torch.cat([one.certainty.entropy for one in singly])
    torch.testing.assert_close(sure.entropy, entropies, **allowed)
    assert len(set(texts)) == 4
    assert task.batches_are_exact


def test_the_loss_is_the_models_own_but_for_the_prompt(task):
    together, alone = batches(task)
    losses = task.losses(together)
    tokenizer, wave = task.processor.tokenizer, task.processor.feature_extractor
    for loss, batch, utterance in zip(losses, alone, utterances(), strict=True):
        tokens = torch.tensor([tokenizer(utterance.text).input_ids])
        measured = wave(load(utterance), sampling_rate=16_000, return_tensors="pt").input_features
        logits = task.model(measured, decoder_input_ids=tokens[:, :-1]).logits[0]
        prompt = 2
        assert tokens[0, :prompt].tolist() == task.prompt
        expected = F.cross_entropy(logits[prompt - 1 :], tokens[0, prompt:])
        torch.testing.assert_close(loss, expected, **tolerance(task, together))
        assert torch.equal(batch.targets, tokens[:, prompt:])


def test_distributions_give_the_loss(task):
    together, _ = batches(task)
    log_probabilities, true = task.distributions(together)
    chosen = log_probabilities.gather(2, together.targets.clamp(min=0)[:, :, None])[:, :, 0]
    expected = -(chosen * true).sum(1) / true.sum(1)
    torch.testing.assert_close(task.losses(together), expected, **tolerance(task, together))
    assert true.sum(1).tolist() == [len(t) + 1 for t in TEXTS.values()]


def test_gradients_of_utterances_are_those_of_the_loop(task):
    """Tied output projection, positions, both attentions: no parameter is left out."""
    forget, retain = (batches(task, {n: TEXTS[n] for n in names})[0] for names in ("ab", "bcd"))
    names = set(trainable_parameters(task.model))
    # Sinusoids, which are not trained.
    assert set(dict(task.model.named_parameters())) - names == {
        "model.encoder.embed_positions.weight"
    }
    found = streaming_step(task.model, task.losses, forget, retain)
    expected = stacked_step(task.model, task.losses, forget, retain)
    rows, losses = per_utterance_gradients(task.model, task.losses, retain)
    assert set(found.orthogonal) == set(expected.orthogonal) == names
    delta = torch.cat([g.flatten() for g in found.orthogonal.values()])
    stacked = torch.cat([g.flatten() for g in expected.orthogonal.values()])
    assert (delta - stacked).norm() < 1e-4 * stacked.norm()
    assert ((rows @ delta).abs() < 1e-4 * rows.norm(dim=1) * delta.norm()).all()
    torch.testing.assert_close(found.retain_losses, losses, **tolerance(task, retain))
    alone = [batch for _, batch in zip("ab", batches(task)[1], strict=False)]
    mean = sum(per_utterance_gradients(task.model, task.losses, b)[0][0] for b in alone) / 2
    forget_mean = torch.cat([g.flatten() for g in found.forget.values()])
    assert (forget_mean - mean).norm() < 1e-4 * mean.norm()


def test_a_saved_model_says_the_same_and_so_does_the_pipeline(task, tmp_path):
    together, alone = batches(task)
    loaded, texts = says_the_same_when_loaded(task, together, tmp_path / "saved")
    assert torch.equal(loaded.target(utterances()[0]), alone[0].targets[0])
    recogniser = pipeline("automatic-speech-recognition", model=str(tmp_path / "saved"))
    for utterance, text in zip(utterances(), texts, strict=True):
        measured = recogniser(load(utterance), generate_kwargs={"num_beams": 1})
        assert measured["text"].strip() == text


def test_a_wider_beam_finds_transcripts_that_are_no_less_likely(task):
    together, _ = batches(task)

    def likelihoods(beams):
        task.beams = beams
        with torch.no_grad():
            _, texts, _ = task.score(together)
            said = [
                task.losses(batches(task, {name: text})[0]) if text else torch.zeros(1)
                for name, text in zip(TEXTS, texts, strict=True)
            ]
        return torch.cat(said), texts

    greedy, texts = likelihoods(1)
    searched, others = likelihoods(4)
    assert texts != others
    assert searched.mean() < greedy.mean()


def test_an_utterance_without_a_sample_is_named(task):
    """Its window alone would have frames."""
    inputs = Inputs(task, load=lambda _: np.zeros(0, np.float32))
    with pytest.raises(ValueError, match=r"utterance a: 0 samples are too few .* leave it out"):
        inputs(utterances()[0])


def test_what_is_too_long_is_named(task):
    long = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.01, text="A")
    with pytest.raises(ValueError, match=r"u9 has 1\.0 s; the encoder's window holds 1 s"):
        task.target(long)
    with pytest.raises(ValueError, match=r"1\.10 s of audio, and the encoder's window holds 1 s"):
        task.encode(np.zeros(17_600, np.float32))
    wordy = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0, text="A" * 23)
    with pytest.raises(ValueError, match="u9: a transcript of 24 tokens; the decoder takes 23"):
        task.target(wordy)
    assert len(task.target(replace(wordy, text="A" * 22))) == 23
    batch, _ = batches(task, {"a": "A" * 22})
    assert torch.isfinite(task.losses(batch)).all()


def test_what_cannot_be_spelled_is_named(task):
    odd = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0, text="AB?")
    with pytest.raises(ValueError, match=r"u9: the vocabulary cannot spell 'AB\?'"):
        task.target(odd)
    silent = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0)
    with pytest.raises(ValueError, match="u9 has no transcript"):
        task.target(silent)


def test_all_utterances_without_a_target_are_named_at_once(task):
    odd = [
        Utterance(id=f"u{i}", audio=Path("x"), speaker="s", seconds=1.0 + i % 2, text="A")
        for i in range(30)
    ]
    with pytest.raises(ValueError, match=r"u1 has 2\.0 s(.|\n)*u19 has 2\.0 s(.|\n)*and 5 more"):
        check_targets(task, odd)
    check_targets(task, odd[::2])


def test_what_nothing_is_left_of_is_named(task, monkeypatch):
    """A transcript of which the rules of OpenAI's vocabulary keep nothing has no words to get."""
    monkeypatch.setattr(task, "compared", lambda text, _: text.replace("AB", ""))
    odd = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0, text="AB AB")
    with pytest.raises(ValueError, match="u9: 'AB AB' has no words to compare"):
        check_targets(task, [odd])


def test_tied_weights_survive_a_checkpoint(task, tmp_path):
    save_weights(task.model, tmp_path / "kept.safetensors")
    before = {name: t.clone() for name, t in task.model.state_dict().items()}
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.add_(1.0)
    load_weights(task.model, tmp_path / "kept.safetensors")
    assert all(torch.equal(t, before[name]) for name, t in task.model.state_dict().items())
    assert task.model.proj_out.weight is task.model.model.decoder.embed_tokens.weight


def test_unlearning_in_memory(task):
    before = {name: p.detach().clone() for name, p in task.model.named_parameters()}
    trainable = set(trainable_parameters(task.model))
    found = unlearn(
        task.model,
        task.processor,
        forget=utterances()[:2],
        retain=utterances()[2:],
        method="orthograd",
        stop=Stop(rule="steps"),
        audio={u.id: load(u) for u in utterances()},
        epochs=2,
    )
    assert found.model is task.model
    changed = {n for n, p in task.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {n for n in trainable if ".encoder.conv" not in n}
    assert set(trainable_parameters(task.model)) == trainable


def test_losses_alone_are_those_of_the_scores(task):
    inputs = Inputs(task, load=load)
    measured, scored = measure_losses(task, inputs, utterances()), score(task, inputs, utterances())
    assert [h.utterance for h in measured] == utterances()
    allowed = tolerance(task, batches(task)[0])
    close = pytest.approx([s.loss for s in scored], rel=allowed["rtol"], abs=allowed["atol"])
    assert [h.loss for h in measured] == close
