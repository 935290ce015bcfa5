"""Load models by Hub name, folder or config to train from scratch, and save them."""

import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassFieldValidationError
from safetensors import SafetensorError
from transformers import (
    AutoModelForAudioClassification,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    GenerationConfig,
    PreTrainedModel,
    WhisperTokenizer,
)
from transformers.utils.logging import disable_progress_bar

from asr_unlearn.data.labels import alphabet_of, label_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.adapters import base_of, read_adapters, save_adapters
from asr_unlearn.models.checks import (
    WRAPPERS,
    ModelError,
    damaged,
    lacking_weights,
    without_processor,
    wrapper,
)
from asr_unlearn.models.config import MALFORMED, cannot_load, read_config, task_of
from asr_unlearn.models.processors import new_processor, own_processor
from asr_unlearn.models.speechbrain_checkpoint import (
    from_speechbrain,
    speechbrain_folder,
)
from asr_unlearn.models.supported import TaskName as TaskName
from asr_unlearn.models.supported import unsupported
from asr_unlearn.models.whisper import generation, save_spellings
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.log import warn_once

# The bars of single files would hide those of the runs.
disable_progress_bar()

LOADERS: dict[TaskName, Any] = {
    "ctc": AutoModelForCTC,
    "seq2seq": AutoModelForSpeechSeq2Seq,
    "classification": AutoModelForAudioClassification,
}
GENERATION = "generation_config.json"
# What a new vocabulary or new classes replace, by the names that models have for it.
HEADS = ("lm_head", "ctc_head", "encoder.out_mid", "classifier", "classifier.dense")


def output_layers(model: PreTrainedModel, task: TaskName) -> list[str]:
    """The names of the layers that depend on a recogniser's vocabulary or a classifier's classes.

    None of an encoder-decoder, whose vocabulary is that of its pretrained decoder.
    """
    if task == "seq2seq":
        return []
    layers = model.named_modules()
    return [name for name, layer in layers if name in HEADS and not list(layer.children())]


def _task(source: str, config: Any, given: TaskName | None) -> TaskName:
    """The given task, else the model's own; raises ModelError if its family has no head for it."""
    task = given or task_of(config)
    if problem := unsupported(config.to_dict(), task):
        raise ModelError(f"{source}: {problem}")
    return task


def vocabulary_of(utterances: Sequence[Utterance], task: TaskName) -> list[str]:
    """The vocabulary of a new head, sorted: characters, or the names of the classes."""
    if task == "classification":
        return sorted({label_of(u) for u in utterances})
    return alphabet_of(utterances)


def model_from_config(
    source: str, vocabulary: Collection[str], seed: int, task: TaskName | None = None
) -> tuple[PreTrainedModel, Any]:
    """A model with random weights drawn from `seed`, and a processor.

    Args:
        source: folder or path of the config.
        vocabulary: characters, or names of classes for `task` "classification".
        seed: of the weights.
        task: by default that of the config.

    Raises:
        ModelError: the model's class is not supported, or has no head for the task.
    """
    config = read_config(source)
    task = _task(source, config, task)
    processor, settings = new_processor(source, config, task, vocabulary)
    for name, value in settings.items():
        setattr(config, name, value)
    for name in ("bos_token_id", "eos_token_id") if task == "ctc" else ():
        # UniSpeechSat's must be numbers; they are not used.
        with suppress(StrictDataclassFieldValidationError):
            setattr(config, name, None)
    torch.manual_seed(seed)
    model: PreTrainedModel = LOADERS[task].from_config(config, trust_remote_code=False)
    if task == "seq2seq":
        model.generation_config = generation(model, processor.tokenizer)
    return model, processor


def pretrained_model(
    source: str, vocabulary: Collection[str] | None, task: TaskName | None = None
) -> tuple[PreTrainedModel, Any]:
    """A pretrained model in float32, and its processor.

    Half precision would lose steps as small as those of unlearning.

    Args:
        source: Hub name or folder, of a model or of adapters.
        vocabulary: characters or classes of a new head, for a model that has no processor of its
            own or other classes; None to take the model's own.
        task: by default that of the config.

    Raises:
        ModelError: nothing can be loaded from `source`, there is no vocabulary, or weights other
            than those of a new head are missing.
    """
    config = read_config(source)
    task = _task(source, config, task)
    if (base := base_of(source)) is not None:
        return _with_adapters(base, Path(source), config, vocabulary, task)
    if (folder := speechbrain_folder(source)) is not None:
        return _speechbrain_model(folder, config, vocabulary)
    own = own_processor(source, task)
    foreign = task == "classification" and not set(vocabulary or ()) <= set(config.label2id)
    if own is not None and not foreign:
        return _with_weights(source, task, headless=vocabulary is not None), own
    if vocabulary is None or task == "seq2seq":
        raise ModelError(without_processor(source, task))
    made, settings = new_processor(source, config, task, vocabulary)
    model = _with_weights(source, task, headless=True, ignore_mismatched_sizes=True, **settings)
    # A head for another vocabulary is replaced even where its size would fit.
    for name in output_layers(model, task):
        layer: Any = model.get_submodule(name)
        layer.reset_parameters()
    return model, own or made


def _with_adapters(
    base: str, folder: Path, config: Any, vocabulary: Collection[str] | None, task: TaskName
) -> tuple[PreTrainedModel, Any]:
    """The base model with the adapters of a folder, and the settings that were saved with them."""
    if base_of(base) is not None:
        raise ModelError(f"{folder}: its base {base} holds adapters itself; merge those first")
    model, processor = pretrained_model(base, vocabulary, task)
    read_adapters(model, folder)
    # The one setting of ours that a config holds.
    if (spelling := getattr(config, "transcript_spelling", None)) is not None:
        model.config.transcript_spelling = spelling
    if (path := folder / GENERATION).is_file():
        model.generation_config = GenerationConfig.from_dict(read_json(path))
    return model, own_processor(str(folder), task) or processor


def _speechbrain_model(
    folder: Path, config: Any, vocabulary: Collection[str] | None
) -> tuple[PreTrainedModel, Any]:
    """The embedding model of a SpeechBrain checkpoint, with a new head for the vocabulary."""
    if vocabulary is None:
        raise ModelError(
            f"{folder} is an embedding model without classes: fine-tune it to the corpus' speakers"
        )
    processor, settings = new_processor(str(folder), config, "classification", vocabulary)
    for name, value in settings.items():
        setattr(config, name, value)
    try:
        return from_speechbrain(folder, config), processor
    except ValueError as error:
        raise ModelError(str(error)) from error


def _with_weights(
    source: str, task: TaskName, *, headless: bool, **settings: Any
) -> PreTrainedModel:
    """Load a model's weights; with `headless` those of its head may be missing, and are random."""
    model: PreTrainedModel
    if prefix := wrapper(Path(source)):
        warn_once(f"{source}: the prefix {prefix!r} of its weights' names is taken off")
    try:
        model, found = LOADERS[task].from_pretrained(
            source,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
            key_mapping={WRAPPERS: ""},
            **settings,
        )
    except SafetensorError as error:
        raise ModelError(damaged(source, error)) from error
    # RuntimeError where the shapes of the weights differ from those of the config.
    except (OSError, ValueError, RuntimeError, *MALFORMED) as error:
        raise ModelError(cannot_load(source, error)) from error
    # Some classes hold their encoder beside the head, and not within a base model.
    backbone = f"{'encoder' if model.base_model is model else model.base_model_prefix}."
    lacking = [
        name
        for name in sorted(found["missing_keys"])
        # The embedding of masked frames is used in training only, and often not saved.
        if not (name.endswith("masked_spec_embed") or (headless and not name.startswith(backbone)))
    ]
    if lacking:
        raise ModelError(lacking_weights(source, lacking, sorted(found["unexpected_keys"])))
    return model


def load_model(source: str) -> tuple[PreTrainedModel, Any]:
    """A saved model and its processor."""
    return pretrained_model(source, vocabulary=None)


def _save_whole(model: PreTrainedModel, folder: Path) -> None:
    """Write weights and config, with a generation config that transformers does not refuse.

    It refuses to save some that it loads, for instance one with a temperature for sampling that
    does not sample.
    """
    if not model.can_generate():
        model.save_pretrained(folder)
        return
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        model.save_pretrained(folder)
    finally:
        model.generation_config = own


def save_model(
    model: PreTrainedModel, processor: Any, folder: Path, base: str | None = None
) -> None:
    """Write a folder that `from_pretrained` and `transformers.pipeline` load.

    Args:
        model: to save.
        processor: of the model.
        folder: to write to.
        base: of a model with adapters: name or folder of the model that they are on. The folder is
            then one that peft loads.
    """
    if base is None:
        _save_whole(model, folder)
    else:
        save_adapters(model, folder, base)
        model.config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.to_json_file(folder / GENERATION)
    processor.save_pretrained(folder)
    # safetensors keeps its files from everybody else.
    for weights in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", weights)
    tokenizer = getattr(processor, "tokenizer", None)
    if isinstance(tokenizer, WhisperTokenizer):
        save_spellings(tokenizer, folder)
