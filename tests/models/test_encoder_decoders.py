"""Moonshine and Speech2Text: an utterance in a batch is the utterance alone, as in transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import (
    AutoModelForSpeechSeq2Seq,
    Speech2TextFeatureExtractor,
    Speech2TextProcessor,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import ModelError, model_from_config
from asr_unlearn.models.tasks import Seq2Seq, WhisperSeq2Seq, task_for
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.errors import InputError
from tests.support import subword_tokenizers
from tests.support.gradient_checks import assert_same_rows, reference_rows, streamed_rows
from tests.support.gradient_problems import Problem
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.tiny_families import tiny_family

WAVES = {"a": 9_000, "b": 5_500, "c": 7_321, "d": 9_900}
TEXTS = {"a": "AB CAD", "b": "A", "c": "DAD CAB AB", "d": "BAD"}
KINDS = ["moonshine", "speech_to_text"]


def utterances():
    return [
        Utterance(id=name, audio=Path(name), speaker="s", seconds=n / 16_000, text=TEXTS[name])
        for name, n in WAVES.items()
    ]


def load(utterance):
    rng = np.random.default_rng(WAVES[utterance.id])
    return 0.1 * rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


def processor_of(kind):
    tokenizer = subword_tokenizers.encoder_decoder()
    if kind == "moonshine":
        return Wav2Vec2Processor(Wav2Vec2FeatureExtractor(do_normalize=False), tokenizer)
    extractor = Speech2TextFeatureExtractor(feature_size=16, num_mel_bins=16)
    return Speech2TextProcessor(extractor, tokenizer)


def build(kind, **options):
    torch.manual_seed(0)
    model = AutoModelForSpeechSeq2Seq.from_config(tiny_family(kind))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        # Or it would say the same letter again and again, whatever the utterance.
        for name, parameter in model.named_parameters():
            if "encoder_attn" in name or "embed_tokens" in name:
                parameter.normal_(std=1.5)
    return task_for(model.eval(), processor_of(kind), **options)


def batches(task):
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    return collate(examples), [collate([e]) for e in examples]


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_utterances_alone(kind, beams):
    task = build(kind, beams=beams)
    task.model.double()
    assert type(task) is Seq2Seq
    assert task.batches_are_exact
    together, alone = batches(task)
    with torch.no_grad():
        logits = task.logits(together)
        _, texts, sure = task.score(together)
        states, own = task.states(together)
        for i, batch in enumerate(alone):
            expected = task.logits(batch)[0]
            torch.testing.assert_close(logits[i][: len(expected)], expected, rtol=1e-9, atol=1e-9)
            one = task.score(batch)
            assert one.texts == [texts[i]]
            torch.testing.assert_close(sure.entropy[i : i + 1], one.certainty.entropy)
            alone_states, _ = task.states(batch)
            torch.testing.assert_close(states[i][own[i]], alone_states[0])
    assert len(set(texts)) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_transcript_are_transformers(kind):
    task = build(kind)
    _, alone = batches(task)
    for utterance, batch in zip(utterances(), alone, strict=True):
        inputs = task.processor.feature_extractor(
            load(utterance), sampling_rate=16_000, return_tensors="pt"
        )
        inputs = dict(inputs)
        labels = batch.targets
        with torch.no_grad():
            expected = task.model(**inputs, labels=labels).loss
            tokens = task.model.generate(**inputs, max_length=24, do_sample=False)
            scored = task.score(batch)
        torch.testing.assert_close(scored.losses[0], expected, rtol=1e-4, atol=1e-5)
        (written,) = task.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        assert scored.texts == [written.strip()]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_jacobian_of_every_parameter(kind, frozen, dtype):
    task = build(kind)
    task.model.to(dtype)
    if frozen:
        task.freeze_front_end()
        assert task.front_end_is_frozen

    def losses(batch):
        each = F.cross_entropy(
            task.logits(batch).transpose(1, 2), batch.targets, ignore_index=-100, reduction="none"
        )
        return each.sum(1) / batch.target_lengths

    problem = Problem(task.model, losses, lambda seed, size: batches(task)[0])
    batch = problem.batch(0, 4)
    expected = reference_rows(problem, batch)
    assert all(rows.any() for rows in expected.values())
    found = streamed_rows(problem, batch)
    assert_same_rows(problem, expected, found, 1e-9 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_encoder_gets_no_gradient(kind):
    task = build(kind)
    task.freeze_encoder()
    task.losses(batches(task)[0]).sum().backward()
    reached = {name for name, p in task.model.named_parameters() if p.grad is not None}
    assert reached
    assert not any("encoder." in name.replace("encoder_attn", "") for name in reached)


def test_a_saved_moonshine_says_the_same(tmp_path):
    task = build("moonshine")
    loaded, texts = says_the_same_when_loaded(task, batches(task)[0], tmp_path)
    assert type(loaded) is Seq2Seq
    assert any(texts)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whispers_alone_is_refused(kind, tmp_path):
    with pytest.raises(InputError, match=r"language 'german': .* has no choice"):
        build(kind, language="german")
    task = build(kind)
    assert set_window(task, "auto", utterances()) is None
    with pytest.raises(InputError, match="only a Whisper that transcribes has a window"):
        set_window(task, 5.0, utterances())
    tiny_family(kind).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=f"only Whisper is .* give a pretrained {kind} with"):
        model_from_config(str(tmp_path), "AB", 0)
    assert not isinstance(task, WhisperSeq2Seq)


def test_another_end_of_texts_than_the_models_is_refused():
    model = AutoModelForSpeechSeq2Seq.from_config(tiny_family("moonshine"))
    model.config.eos_token_id = 5
    with pytest.raises(InputError, match=r"is 5 by eos_token_id .*, and 2 by eos_token") as said:
        task_for(model, processor_of("moonshine"))
    assert "\n" not in str(said.value)


def test_transcripts_are_spelled_in_the_case_of_the_vocabulary():
    task = build("moonshine")
    lower = Utterance(id="a", audio=Path("a"), speaker="s", seconds=1.0, text="ab cad")
    assert task.target(lower).tolist() == task.target(utterances()[0]).tolist()
    assert task.reference(lower) == "AB CAD"
    assert choose_spelling(task, [lower], load=lambda _: load(utterances()[0])) == "upper"
    with pytest.raises(InputError, match="utterance a: the vocabulary cannot spell 'XYZ'"):
        task.target(Utterance(id="a", audio=Path("a"), speaker="s", seconds=1.0, text="XYZ"))


def test_a_transcript_longer_than_the_decoder_is_named():
    task = build("speech_to_text")
    text = " ".join(["BAD"] * 30)
    long = Utterance(id="a", audio=Path("a"), speaker="s", seconds=1.0, text=text)
    with pytest.raises(InputError, match=r"utterance a: a transcript of \d+ tokens; the decoder"):
        task.target(long)
