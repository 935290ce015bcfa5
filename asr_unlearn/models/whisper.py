"""Whisper's tokenizer, feature extractor, prompt and text normalisation."""

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
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
from transformers.models.whisper.tokenization_whisper import (
    LANGUAGES,
    TASK_IDS,
    TO_LANGUAGE_CODE,
)

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

END, START, NO_TIMESTAMPS = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
ENGLISH_CODE = "en"
ENGLISH = {None, ENGLISH_CODE, "english"}
# Of OpenAI's vocabularies: the least size of a multilingual one, the end of texts in the others.
MULTILINGUAL_VOCABULARY, ENGLISH_END = 51865, 50256


def character_tokenizer(alphabet: Collection[str]) -> WhisperTokenizer:
    """A tokenizer of one token a character (a byte, beyond ASCII), and Whisper's special tokens.

    It has no languages: its prompt is start and no timestamps, as in English-only Whisper.
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
    """The feature extractor of the file beside the config, else one with OpenAI's frames of 10 ms.

    Raises:
        InputError: there is no file, and the encoder's window is not a number of whole seconds.
    """
    folder = source if source.is_dir() else source.parent
    if any((folder / f"{name}_config.json").is_file() for name in ("preprocessor", "processor")):
        return WhisperFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    # Two frames of 10 ms for a position.
    seconds, rest = divmod(config.max_source_positions, 50)
    if rest:
        raise InputError(
            f"{source}: max_source_positions={config.max_source_positions} is not a multiple of "
            "50, a second: choose one, or put a preprocessor_config.json with hop_length and "
            "chunk_length beside it"
        )
    return WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds)


def shorten_window(model: PreTrainedModel, extractor: Any, seconds: float) -> None:
    """Give a Whisper's encoder and feature extractor a shorter window, in whole seconds, for good.

    Its positions are fixed sinusoids: the shorter window has the first rows.

    Raises:
        InputError: the model has no such window, or a shorter one.
    """
    encoder: Any = getattr(model.base_model, "encoder", None)
    if not isinstance(extractor, WhisperFeatureExtractor) or encoder is None:
        raise InputError(f"--window {seconds:g}: {type(model).__name__} has no window of its own")
    own, wanted = extractor.chunk_length, math.ceil(seconds)
    if not 0 < wanted <= own:
        raise InputError(f"--window {seconds:g}: give seconds above 0, up to {own:g}, or auto")
    positions = encoder.embed_positions.num_embeddings * wanted // own
    rows = encoder.embed_positions.weight[:positions].detach().clone()
    encoder.embed_positions = nn.Embedding.from_pretrained(rows)
    encoder.max_source_positions = model.config.max_source_positions = positions
    extractor.chunk_length = wanted
    extractor.n_samples = wanted * extractor.sampling_rate
    extractor.nb_max_frames = extractor.n_samples // extractor.hop_length


def character_whisper(source: Path, config: Any, alphabet: Collection[str]) -> WhisperProcessor:
    """A processor for a Whisper that starts from random weights."""
    return WhisperProcessor(feature_extractor(source, config), character_tokenizer(alphabet))


def token_settings(tokenizer: WhisperTokenizer) -> dict[str, Any]:
    """The settings of a WhisperConfig for the vocabulary; OpenAI's is its default."""
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
    """The generation config for a vocabulary of one language without timestamps."""
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
    """The tokens before every text.

    They are start, language and task if there are several, and no timestamps. Of a multilingual
    model the language is, unless it is given, the tokenizer's, else that of the model's generation
    or of its old `forced_decoder_ids`, else English; the task is to transcribe. Both are set in the
    tokenizer and the generation config, and saved.

    Raises:
        InputError: Whisper has no such language, or the model transcribes another one only.
    """
    code = None if language is None else language_code(language)
    if is_multilingual(model, tokenizer):
        _set_language(model, tokenizer, code)
    else:
        _check_only_language(model, tokenizer, code)
        # English-only models have no language in the prompt, even if the tokenizer was set to one.
        tokenizer.language = tokenizer.task = None
        tokenizer.set_prefix_tokens(predict_timestamps=False)
    prompt: list[int] = tokenizer.prefix_tokens
    return prompt


def _check_only_language(
    model: PreTrainedModel, tokenizer: WhisperTokenizer, code: str | None
) -> None:
    """Raises InputError for another language than that of a monolingual model.

    A model with a character vocabulary keeps the first language that it is given.
    """
    only = only_language(model, tokenizer)
    if code is None or code == only:
        return
    if only is not None:
        raise InputError(
            f"language {LANGUAGES[code]!r}: the model transcribes {LANGUAGES[only].title()} only"
        )
    model.config.language = code


def language_tokens(model: PreTrainedModel, tokenizer: WhisperTokenizer) -> dict[str, int]:
    """The token of each language by its code; empty for a model without a choice of languages."""
    if not is_multilingual(model, tokenizer):
        return {}
    return {token.strip("<|>"): number for token, number in _languages(tokenizer).items()}


def only_language(model: PreTrainedModel, tokenizer: WhisperTokenizer) -> str | None:
    """The code of the language of a model without a choice; None if it was never said."""
    stated: str | None = getattr(model.config, "language", None)
    return ENGLISH_CODE if _languages(tokenizer) else stated


def language_code(language: str) -> str:
    """Whisper's code of a language given by its name or code, in any case.

    Raises:
        InputError: Whisper has no such language.
    """
    name = language.lower()
    code = TO_LANGUAGE_CODE.get(name, name)
    if code not in LANGUAGES:
        raise InputError(f"Unsupported language: {language}; give one of {', '.join(LANGUAGES)}")
    return code


def is_multilingual(model: PreTrainedModel, tokenizer: WhisperTokenizer) -> bool:
    """Whether a model's prompt holds the language.

    Tokenizers of English-only models have the tokens of languages, too; and generation configs
    written before 2023 do not say `is_multilingual`. OpenAI's multilingual vocabularies are larger
    and have the end of the text one place later.
    """
    if not _languages(tokenizer):
        return False
    stated = getattr(model.generation_config, "is_multilingual", None)
    if stated or _forced_language(model, tokenizer) is not None:
        return True
    large = model.config.vocab_size >= MULTILINGUAL_VOCABULARY
    return large and (stated is None or tokenizer.eos_token_id != ENGLISH_END)


def _languages(tokenizer: WhisperTokenizer) -> dict[str, int]:
    """Token and id of every language in a vocabulary."""
    ids = tokenizer.get_vocab()
    return {f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES if f"<|{code}|>" in ids}


def _forced_language(model: PreTrainedModel, tokenizer: WhisperTokenizer) -> str | None:
    """The language in `forced_decoder_ids`, where old configs have it."""
    codes = {number: token.strip("<|>") for token, number in _languages(tokenizer).items()}
    for config in (model.generation_config, model.config):
        for _, number in getattr(config, "forced_decoder_ids", None) or ():
            if number in codes:
                return codes[number]
    return None


def _set_language(model: PreTrainedModel, tokenizer: WhisperTokenizer, code: str | None) -> None:
    """Set language and task in the tokenizer and the generation config, and what old ones lack."""
    settings: Any = model.generation_config
    language = code or tokenizer.language or getattr(settings, "language", None)
    language = language or _forced_language(model, tokenizer) or ENGLISH_CODE
    tokenizer.set_prefix_tokens(language=language, task="transcribe", predict_timestamps=False)
    settings.language, settings.task = tokenizer.language, "transcribe"
    settings.is_multilingual = True
    # Or generation would make settings anew from the model's config, and detect the language.
    settings._from_model_config = False
    ids = tokenizer.get_vocab()
    if not getattr(settings, "lang_to_id", None):
        settings.lang_to_id = _languages(tokenizer)
    if not getattr(settings, "task_to_id", None):
        settings.task_to_id = {task: ids[f"<|{task}|>"] for task in TASK_IDS}
    if getattr(settings, "no_timestamps_token_id", None) is None:
        settings.no_timestamps_token_id = ids[NO_TIMESTAMPS]
    for config in (settings, model.config):
        # Superseded by language and task.
        if getattr(config, "forced_decoder_ids", None) is not None:
            config.forced_decoder_ids = None


def save_spellings(tokenizer: WhisperTokenizer, folder: Path) -> None:
    """Write normalizer.json, which transformers 5 reads but leaves out when it saves."""
    if tokenizer.english_spelling_normalizer is not None:
        write_json(folder / "normalizer.json", tokenizer.english_spelling_normalizer)


def text_normaliser(
    tokenizer: WhisperTokenizer, language: str | None = None
) -> Callable[[str], str] | None:
    """Whisper's normalisation of texts before comparison; None for a character vocabulary.

    The language is a code; by default that of the tokenizer.

    English is normalised by Whisper's rules (numbers, contractions, and British spelling by the
    list in the tokenizer's normalizer.json), other languages only in case and punctuation. A text
    that the English rules leave empty ("hmm") is normalised as other languages are.
    """
    words = tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)
    if all(len(word) == 1 for word in words):
        return None
    basic = BasicTextNormalizer()
    if (language or tokenizer.language) not in ENGLISH:
        return lambda text: str(basic(text)).strip()
    english = EnglishTextNormalizer(tokenizer.english_spelling_normalizer or {})
    return lambda text: str(english(text) or basic(text)).strip()
