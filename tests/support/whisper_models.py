"""Tiny Whispers with the vocabularies that OpenAI's have: of several languages, and of English."""

from pathlib import Path

import pytest
import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from asr_unlearn.models.whisper import character_tokenizer
from tests.support.tiny_model import tiny_whisper_options

SHARED = Path(__file__).resolve().parents[3] / "shared"


def multilingual_whisper():
    """As OpenAI's: several languages and tasks, spellings of English words; vocabulary by bytes."""
    languages = [f"<|{code}|>" for code in LANGUAGES]
    marks = ["<|endoftext|>", "<|startoftranscript|>", *languages, "<|translate|>",
             "<|transcribe|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]  # fmt: skip
    letters = sorted(character_tokenizer("abcdefghijklmnopqrstuvwxyzABCD'.,").get_vocab())
    vocabulary = ["th", "the", *(c for c in letters if not c.startswith("<|")), *marks]
    tokenizer = WhisperTokenizer(
        vocab={token: i for i, token in enumerate(vocabulary)},
        merges=[("t", "h"), ("th", "e")],
        pad_token="<|endoftext|>",
        extra_special_tokens=marks[1:],
    )
    tokenizer.english_spelling_normalizer = {"colour": "color"}
    ids = {token: i for i, token in enumerate(vocabulary)}
    special = {
        "pad_token_id": ids["<|endoftext|>"],
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|endoftext|>"],
        "decoder_start_token_id": ids["<|startoftranscript|>"],
    }
    torch.manual_seed(0)
    config = WhisperConfig(**tiny_whisper_options(), vocab_size=len(vocabulary), **special)
    config.begin_suppress_tokens = None
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config = GenerationConfig(
        **special,
        is_multilingual=True,
        lang_to_id={language: ids[language] for language in languages},
        task_to_id={t: ids[f"<|{t}|>"] for t in ("translate", "transcribe")},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        suppress_tokens=[ids[mark] for mark in marks[1:]],
    )
    extractor = WhisperFeatureExtractor(20, chunk_length=1)
    return model, WhisperProcessor(extractor, tokenizer)


def english_whisper():
    """The processor of OpenAI's tiny.en, and a model of its kind with random weights."""
    folder = SHARED / "models" / "whisper-tiny.en"
    if not folder.is_dir():
        pytest.skip(f"the real Whisper is not at {folder}")
    config = WhisperConfig.from_pretrained(folder)
    config.update(tiny_whisper_options())
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config = GenerationConfig.from_pretrained(folder)
    tokenizer = WhisperTokenizer.from_pretrained(folder)
    return model, WhisperProcessor(WhisperFeatureExtractor(20, chunk_length=1), tokenizer)
