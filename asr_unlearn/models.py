"""Recognisers from a Hub name, a folder, or a config to train from scratch; and back to disk."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    AutoProcessor,
    PreTrainedModel,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)
from transformers.utils.logging import disable_progress_bar

from asr_unlearn.manifest import Utterance

# Its bars for single files would drown those of the runs.
disable_progress_bar()

BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"


class ModelError(ValueError):
    """A model that cannot be loaded; the message says from where, and what to do."""


def alphabet_of(utterances: Sequence[Utterance]) -> list[str]:
    """The characters of all transcripts, sorted; the space apart."""
    return sorted({c for u in utterances for c in u.text or ""} - {" "})


def padding_is_seen(config: Any) -> bool:
    """Whether the front end's group norm makes an utterance depend on the padding beside it."""
    return bool(getattr(config, "feat_extract_norm", "layer") != "layer")


def character_processor(alphabet: Collection[str], *, attention_mask: bool) -> Wav2Vec2Processor:
    """A processor for 16 kHz mono waves and one label per character; label 0 is the CTC blank.

    `attention_mask`: the model is to be given one (layer-norm front ends).
    """
    tokens = [BLANK, UNKNOWN, SPACE, *sorted(alphabet)]
    with TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.json"
        vocabulary.write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
        # The sentence markers are silenced: they would be two labels no model is trained on.
        tokenizer = Wav2Vec2CTCTokenizer(
            str(vocabulary),
            pad_token=BLANK,
            unk_token=UNKNOWN,
            word_delimiter_token=SPACE,
            bos_token=None,
            eos_token=None,
        )
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=attention_mask)
    return Wav2Vec2Processor(extractor, tokenizer)


def is_bare_config(source: str) -> bool:
    """Whether `source` is a config.json, or a folder with a config and no weights."""
    path = Path(source)
    if path.is_file():
        return path.suffix == ".json"
    has_weights = any(path.glob("*.safetensors")) or any(path.glob("*.safetensors.index.json"))
    return (path / "config.json").is_file() and not has_weights


def model_from_config(
    source: str, alphabet: Collection[str], seed: int
) -> tuple[PreTrainedModel, Wav2Vec2Processor]:
    """A recogniser with random weights drawn from `seed`, and characters from the corpus."""
    config = AutoConfig.from_pretrained(source)
    processor = character_processor(alphabet, attention_mask=not padding_is_seen(config))
    config.vocab_size = len(processor.tokenizer)
    config.pad_token_id = processor.tokenizer.pad_token_id
    config.bos_token_id = config.eos_token_id = None
    torch.manual_seed(seed)
    return AutoModelForCTC.from_config(config), processor


def pretrained_model(source: str, alphabet: Collection[str] | None) -> tuple[PreTrainedModel, Any]:
    """A recogniser with its weights; characters from its processor, or else from the corpus.

    Raises:
        ModelError: nothing loadable at `source`, or no vocabulary anywhere.
    """
    try:
        processor = AutoProcessor.from_pretrained(source)
        extra = {}
    except (OSError, ValueError, TypeError) as error:
        if alphabet is None:
            raise ModelError(f"{source} has no processor with a vocabulary: {error}") from error
        config = _config(source)
        processor = character_processor(alphabet, attention_mask=not padding_is_seen(config))
        extra = {
            "vocab_size": len(processor.tokenizer),
            "pad_token_id": processor.tokenizer.pad_token_id,
            # A head trained for another vocabulary is replaced, not misread.
            "ignore_mismatched_sizes": True,
        }
    try:
        model = AutoModelForCTC.from_pretrained(source, use_safetensors=True, **extra)
    except (OSError, ValueError) as error:
        raise ModelError(_cannot_load(source, error)) from error
    return model, processor


def _config(source: str) -> Any:
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(_cannot_load(source, error)) from error


def _cannot_load(source: str, error: Exception) -> str:
    return (
        f"cannot load a CTC model from {source!r}: give a Hugging Face name that can be reached, "
        f"a folder with config.json and model.safetensors, or a config.json to train from scratch "
        f"({error})"
    )


def load_model(source: str) -> tuple[PreTrainedModel, Any]:
    """A saved recogniser and its processor."""
    return pretrained_model(source, alphabet=None)


def save_model(model: PreTrainedModel, processor: Any, folder: Path) -> None:
    """Write a folder that `from_pretrained` and `transformers.pipeline` load."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
