"""What Whisper needs beside its weights: a vocabulary, a spectrogram, a prompt, a spelling."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    WhisperFeatureExtractor,
    WhisperProcessor,
    WhisperTokenizer,
)
from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

from asr_unlearn.errors import InputError
from asr_unlearn.files import write_json

END, START, NO_TIMESTAMPS = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
ENGLISH = {None, "en", "english"}


def character_tokenizer(alphabet: Collection[str]) -> WhisperTokenizer:
    """One token for each character (each byte of one, beyond ASCII), and Whisper's own marks.

    It speaks one language: its prompt is start and no timestamps, as in English-only Whisper.
    """
    # Whisper's vocabularies stand for bytes by printable characters, "Ġ" for the space.
    spelled = [ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(c)
               for c in {*alphabet, " "}]  # fmt: skip
    symbols = sorted({symbol for pieces in spelled for piece, _ in pieces for symbol in piece})
    # Tokens above that for no timestamps would be read as timestamps.
    marks = [END, START, "<|startofprev|>", "<|nospeech|>", NO_TIMESTAMPS]
    vocabulary = {token: i for i, token in enumerate([*symbols, *marks])}
    return WhisperTokenizer(
        vocab=vocabulary,
        merges=[],
        pad_token=END,
        extra_special_tokens=marks[1:],
    )


def feature_extractor(source: Path, config: Any) -> WhisperFeatureExtractor:
    """As the file beside the config says, else with OpenAI's frames of 10 ms.

    Raises:
        ValueError: without the former, an encoder that does not hear whole seconds.
    """
    folder = source if source.is_dir() else source.parent
    if any((folder / f"{name}_config.json").is_file() for name in ("preprocessor", "processor")):
        return WhisperFeatureExtractor.from_pretrained(folder)
    # Two frames of 10 ms for a position.
    seconds, rest = divmod(config.max_source_positions, 50)
    if rest:
        raise InputError(
            f"{source}: max_source_positions={config.max_source_positions} is not a multiple of "
            "50, a second: choose one, or put a preprocessor_config.json with hop_length and "
            "chunk_length beside it"
        )
    return WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds)


def character_whisper(source: Path, config: Any, alphabet: Collection[str]) -> WhisperProcessor:
    """A processor for a Whisper that starts from random weights."""
    return WhisperProcessor(feature_extractor(source, config), character_tokenizer(alphabet))


def token_settings(tokenizer: WhisperTokenizer) -> dict[str, Any]:
    """What a WhisperConfig has to say of the vocabulary; OpenAI's is its default."""
    return {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.convert_tokens_to_ids(START),
        "suppress_tokens": None,
        "begin_suppress_tokens": None,
    }


def generation(model: PreTrainedModel, tokenizer: WhisperTokenizer) -> GenerationConfig:
    """How a model with a vocabulary of its own writes: in one language, without timestamps."""
    marks = set(tokenizer.all_special_ids) - {tokenizer.eos_token_id}
    return GenerationConfig(
        **token_settings(tokenizer) | {"suppress_tokens": sorted(marks)},
        max_length=model.config.max_target_positions,
        no_timestamps_token_id=tokenizer.convert_tokens_to_ids(NO_TIMESTAMPS),
        is_multilingual=False,
    )


def prompt_of(
    model: PreTrainedModel, tokenizer: WhisperTokenizer, language: str | None = None
) -> list[int]:
    """The tokens before every text: start, language and task if there are several, no timestamps.

    Without a `language` it is the tokenizer's, else that of the model's generation, else English,
    and the task is to transcribe; both are told the tokenizer and the generation, and saved.

    Raises:
        ValueError: Whisper does not know the language, or the model has but one.
    """
    settings: Any = model.generation_config
    if getattr(settings, "is_multilingual", False):
        language = language or tokenizer.language or getattr(settings, "language", None)
        language = language or "english"
        tokenizer.set_prefix_tokens(language=language, task="transcribe", predict_timestamps=False)
        settings.language, settings.task = tokenizer.language, "transcribe"
    elif language is not None and language.lower() not in ENGLISH:
        raise InputError(f"language {language!r}: the model is of one language, and has no choice")
    prompt: list[int] = tokenizer.prefix_tokens
    return prompt


def save_spellings(tokenizer: WhisperTokenizer, folder: Path) -> None:
    """Write normalizer.json, which transformers 5 reads but leaves out when it saves."""
    if tokenizer.english_spelling_normalizer is not None:
        write_json(folder / "normalizer.json", tokenizer.english_spelling_normalizer)


def text_normaliser(tokenizer: WhisperTokenizer) -> Callable[[str], str] | None:
    """Whisper's own spelling of texts before they are compared; None for a character vocabulary.

    English is normalised by Whisper's rules (numbers, contractions, and British spelling by the
    list in the tokenizer's normalizer.json), other languages only in case and punctuation. What
    English rules leave nothing of ("hmm") is normalised as other languages are.
    """
    words = tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)
    if all(len(word) == 1 for word in words):
        return None
    basic = BasicTextNormalizer()
    if tokenizer.language not in ENGLISH:
        return lambda text: str(basic(text)).strip()
    english = EnglishTextNormalizer(tokenizer.english_spelling_normalizer or {})
    return lambda text: str(english(text) or basic(text)).strip()
