"""Processors: feature extractors and tokenizers, saved with a model or made for a new head."""

import json
from collections.abc import Collection
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import (
    PROCESSOR_MAPPING,
    AutoFeatureExtractor,
    AutoProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2Processor,
)

from asr_unlearn.models.checks import HALVES, ModelError, lacking_halves
from asr_unlearn.models.extractors import extractor_for, wave_extractor
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.whisper import character_whisper, token_settings
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.log import warn_once

WITH_LM = "Wav2Vec2ProcessorWithLM"
BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"


def ctc_tokenizer(alphabet: Collection[str]) -> Wav2Vec2CTCTokenizer:
    """A tokenizer of one label per character; label 0 is the CTC blank.

    White space and the word delimiter do not count as characters: the labels are 0 … n-1.
    """
    characters = {c for c in alphabet if not c.isspace()} - {SPACE}
    tokens = [BLANK, UNKNOWN, SPACE, *sorted(characters)]
    with TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.json"
        vocabulary.write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
        # Without sentence markers, two labels that no model is trained on.
        return Wav2Vec2CTCTokenizer(
            str(vocabulary),
            pad_token=BLANK,
            unk_token=UNKNOWN,
            word_delimiter_token=SPACE,
            bos_token=None,
            eos_token=None,
        )


def character_processor(alphabet: Collection[str], *, attention_mask: bool) -> Wav2Vec2Processor:
    """A processor for 16 kHz mono waves and one label per character; see `ctc_tokenizer`."""
    extractor = wave_extractor(attention_mask=attention_mask)
    return Wav2Vec2Processor(extractor, ctc_tokenizer(alphabet))


def new_processor(
    source: str, config: Any, task: TaskName, vocabulary: Collection[str]
) -> tuple[Any, dict[str, Any]]:
    """A processor for a head that is yet to be trained, and the settings of its config.

    Args:
        source: folder or name of the model, beside which its feature extractor may be.
        config: of the model.
        task: that the head is for.
        vocabulary: characters, or the names of the classes.

    Raises:
        ModelError: an encoder-decoder other than Whisper, which is not trained from a config.
    """
    if task == "classification":
        names = dict(enumerate(vocabulary))
        settings = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
        return extractor_for(Path(source), config), settings
    if task == "seq2seq":
        if config.model_type != "whisper":
            raise ModelError(
                f"{source}: of encoder-decoders only Whisper is trained from a config; give a "
                f"pretrained {config.model_type} with its tokenizer"
            )
        whisper = character_whisper(Path(source), config, vocabulary)
        return whisper, token_settings(whisper.tokenizer)
    tokenizer = ctc_tokenizer(vocabulary)
    # A class of another name would not be found when the processor is read again.
    kind: Any = PROCESSOR_MAPPING.get(type(config), Wav2Vec2Processor)
    processor = kind(extractor_for(Path(source), config), tokenizer)
    return processor, _ctc_settings(config, tokenizer)


def _ctc_settings(config: Any, tokenizer: Wav2Vec2CTCTokenizer) -> dict[str, Any]:
    """The settings of a config for a new CTC vocabulary, wherever the config states them."""
    size, blank = len(tokenizer), tokenizer.pad_token_id
    settings: dict[str, Any] = {"vocab_size": size, "pad_token_id": blank}
    if hasattr(config, "blank_token_id"):
        settings["blank_token_id"] = blank
    encoder = getattr(config, "encoder_config", None)
    if hasattr(encoder, "vocab_size"):
        # An encoder that is conditioned on its own labels.
        settings["encoder_config"] = deepcopy(encoder)
        settings["encoder_config"].vocab_size = size
    return settings


def own_processor(source: str, task: TaskName) -> Any:
    """The processor saved with a model, without a language model; None where there is none.

    Raises:
        ModelError: it needs a package that is not installed.
        InputError: one of its files is no JSON.
    """
    for name in {name for names in HALVES.values() for name in names}:
        # Without this a damaged vocabulary counts as none, and the model gets a new head.
        if (path := Path(source) / name).is_file():
            read_json(path)
    # From a folder without a tokenizer transformers makes a Whisper tokenizer without a vocabulary.
    if Path(source).is_dir() and lacking_halves(Path(source), task):
        return None
    reader = AutoFeatureExtractor if task == "classification" else AutoProcessor
    try:
        processor = reader.from_pretrained(source, trust_remote_code=False)
    except ImportError as error:
        # A processor with a language model needs packages that the model itself does not.
        if WITH_LM not in str(error):
            said = " ".join(str(error).split())
            raise ModelError(f"{source}: its processor cannot be loaded: {said}") from error
        processor = Wav2Vec2Processor.from_pretrained(source, trust_remote_code=False)
        return _without_language_model(processor, source)
    except (OSError, ValueError, TypeError):
        return None
    if type(processor).__name__ == WITH_LM:
        return _without_language_model(processor, source)
    return processor


def _without_language_model(processor: Any, source: str) -> Wav2Vec2Processor:
    warn_once(f"{source}: its language model is not used, transcripts are the model's own (greedy)")
    return Wav2Vec2Processor(processor.feature_extractor, processor.tokenizer)
