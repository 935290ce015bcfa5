"""The language of an utterance in a Whisper's prompt, and the shapes of the newest Whispers."""

from dataclasses import replace

import pytest
import torch
from transformers import WhisperConfig

from asr_unlearn.data.batching import collate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import WhisperSeq2Seq, task_for
from asr_unlearn.runtime.errors import InputError
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.tiny_model import tiny_whisper_options
from tests.support.whisper_models import english_whisper, multilingual_whisper
from tests.support.whisper_task import batches, build, load, utterances


@pytest.fixture
def task(tmp_path):
    return build(tmp_path)


@pytest.fixture
def multilingual():
    return multilingual_whisper()


@pytest.fixture(scope="module")
def english():
    return english_whisper()


def in_languages(languages):
    """The utterances of `whisper_task`, each in a language; None for the model's."""
    texts = {"a": "ab", "b": "cab", "c": "a cab", "d": "ba"}
    return [
        replace(u, language=language)
        for u, language in zip(utterances(texts), languages, strict=True)
    ]


@pytest.mark.parametrize("beams", [1, 2])
def test_an_utterance_has_the_prompt_of_its_own_language(multilingual, beams, monkeypatch):
    model, processor = multilingual
    task = WhisperSeq2Seq(model, processor, beams=beams)
    mixed = in_languages(["german", None, "fr", "en"])
    codes = ["de", "en", "fr", "en"]
    together = collate([Inputs(task, load=load)(u) for u in mixed])
    with torch.no_grad():
        losses, texts, _ = task.score(together)
        for i, (utterance, code) in enumerate(zip(mixed, codes, strict=True)):
            # The same as a model of that language, and an utterance without one.
            plain = replace(utterance, language=None)
            own = WhisperSeq2Seq(model, processor, language=code, beams=beams)
            batch = collate([Inputs(own, load=load)(plain)])
            loss, text, _ = own.score(batch)
            torch.testing.assert_close(losses[i : i + 1], loss, rtol=1e-4, atol=1e-5)
            assert [texts[i]] == text
            assert task.reference(utterance) == own.reference(plain)
    WhisperSeq2Seq(model, processor, language="en")
    assert [task._prompts(together)[i, 1].item() for i in range(4)] == [
        processor.tokenizer.convert_tokens_to_ids(f"<|{code}|>") for code in codes
    ]
    # A batch without languages is as before, and so are the utterances taken from one.
    assert collate([Inputs(task, load=load)(replace(mixed[0], language=None))]).languages == ()
    assert together.take(torch.tensor([2, 0])).languages == ("fr", "german")


def test_a_language_that_the_model_has_not_is_refused_with_the_utterance(multilingual, task):
    own = WhisperSeq2Seq(*multilingual)
    (spoken, *_) = in_languages(["klingon", None, None, None])
    with pytest.raises(InputError, match="utterance a: Unsupported language: klingon") as said:
        own.target(spoken)
    assert "\n" not in str(said.value)
    # A vocabulary of characters has no languages.
    with pytest.raises(InputError, match="utterance a: language 'german': the model does not"):
        task.target(replace(spoken, language="de", text="AB"))


def test_an_english_only_model_refuses_utterances_in_other_languages(english):
    task = task_for(*english)
    english_one, german_one, *_ = in_languages(["English", "de", None, None])
    assert torch.equal(task.target(english_one), task.target(replace(english_one, language=None)))
    with pytest.raises(InputError, match="language 'german': the model transcribes English only"):
        task.target(german_one)
    batch = collate([Inputs(task, load=load)(english_one)])
    assert task._prompts(batch).tolist() == [task.prompt]
    with torch.no_grad():
        assert task.score(batch).texts


def test_128_mel_bands_and_fewer_decoder_layers(tmp_path):
    """The shape of large-v3 and, with four layers of the decoder for its 32, of its turbo."""
    sizes = {"num_mel_bins": 128, "encoder_layers": 3, "decoder_layers": 1}
    WhisperConfig(**tiny_whisper_options() | sizes).save_pretrained(tmp_path / "config")
    model, processor = model_from_config(str(tmp_path / "config"), "ABCD", seed=3)
    assert processor.feature_extractor.feature_size == 128
    task = task_for(model.eval(), processor)
    together, alone = batches(task)
    assert together.inputs.shape[-1] == 128
    assert len(task.layers()) == 3 + 1 + 1
    with torch.no_grad():
        losses = task.losses(together)
        expected = torch.cat([task.losses(batch) for batch in alone])
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
        for utterance, loss in zip(utterances(), losses, strict=True):
            features = processor.feature_extractor(
                load(utterance), sampling_rate=16_000, return_tensors="pt"
            ).input_features
            prompt = torch.tensor(task.prompt)
            labels = task.target(utterance)
            tokens = torch.cat([prompt, labels[:-1]])[None]
            logits = model(features, decoder_input_ids=tokens).logits[0, len(prompt) - 1 :]
            theirs = torch.nn.functional.cross_entropy(logits, labels)
            torch.testing.assert_close(loss, theirs, rtol=1e-4, atol=1e-5)
    says_the_same_when_loaded(task, together, tmp_path / "saved")
