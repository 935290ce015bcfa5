"""Processors: feature extractors and tokenizers, saved with a model or made for a new head."""

import json
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import (
    AutoFeatureExtractor,
    AutoProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from asr_unlearn.models.checks import HALVES, ModelError, lacking_halves
from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.whisper import character_whisper, feature_extractor, token_settings
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.log import warn_once

WITH_LM = "Wav2Vec2ProcessorWithLM"
BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"


def padding_is_seen(config: Any) -> bool:
    """Whether the front end's group norm makes an utterance depend on its padding."""
    return bool(getattr(config, "feat_extract_norm", "layer") != "layer")


def wave_extractor(*, attention_mask: bool, normalised: bool = True) -> Wav2Vec2FeatureExtractor:
    """A feature extractor for 16 kHz mono waves.

    Args:
        attention_mask: whether the model takes one (those with layer-norm front ends).
        normalised: scale each wave to mean 0 and variance 1.
    """
    return Wav2Vec2FeatureExtractor(do_normalize=normalised, return_attention_mask=attention_mask)


def character_processor(alphabet: Collection[str], *, attention_mask: bool) -> Wav2Vec2Processor:
    """A processor for 16 kHz mono waves and one label per character; label 0 is the CTC blank.

    White space and the word delimiter do not count as characters: the labels are 0 … n-1.
    """
    characters = {c for c in alphabet if not c.isspace()} - {SPACE}
    tokens = [BLANK, UNKNOWN, SPACE, *sorted(characters)]
    with TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.json"
        vocabulary.write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
        # Without sentence markers, two labels that no model is trained on.
        tokenizer = Wav2Vec2CTCTokenizer(
            str(vocabulary),
            pad_token=BLANK,
            unk_token=UNKNOWN,
            word_delimiter_token=SPACE,
            bos_token=None,
            eos_token=None,
        )
    return Wav2Vec2Processor(wave_extractor(attention_mask=attention_mask), tokenizer)


def new_processor(
    source: str, config: Any, task: TaskName, vocabulary: Collection[str]
) -> tuple[Any, dict[str, Any]]:
    """A processor for a head that is yet to be trained, and the settings of its config.

    Args:
        source: folder or name of the model, beside which Whisper's feature extractor may be.
        config: of the model.
        task: that the head is for.
        vocabulary: characters, or the names of the classes.
    """
    masked = not padding_is_seen(config)
    if task == "classification":
        names = dict(enumerate(vocabulary))
        settings = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
        if config.model_type == "whisper":
            return feature_extractor(Path(source), config), settings
        normalised = config.model_type != EcapaConfig.model_type
        return wave_extractor(attention_mask=masked, normalised=normalised), settings
    if task == "seq2seq":
        whisper = character_whisper(Path(source), config, vocabulary)
        return whisper, token_settings(whisper.tokenizer)
    processor = character_processor(vocabulary, attention_mask=masked)
    blank = processor.tokenizer.pad_token_id
    return processor, {"vocab_size": len(processor.tokenizer), "pad_token_id": blank}


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
            raise ModelError(f"{source}: its processor cannot be loaded: {error}") from error
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
