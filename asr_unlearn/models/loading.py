"""Models from a Hub name, a folder, or a config to train from scratch; and back to disk."""

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassFieldValidationError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
    WhisperTokenizer,
)
from transformers.utils.logging import disable_progress_bar

from asr_unlearn.data.labels import alphabet_of, label_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.checks import (
    WRAPPERS,
    damaged,
    lacking_halves,
    lacking_weights,
    unusable,
    without_processor,
    wrapper,
)
from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.speechbrain_checkpoint import (
    WEIGHTS,
    from_speechbrain,
    speechbrain_config,
    speechbrain_folder,
)
from asr_unlearn.models.supported import CLASSES, unsupported
from asr_unlearn.models.supported import TaskName as TaskName
from asr_unlearn.models.whisper import (
    character_whisper,
    feature_extractor,
    generation,
    save_spellings,
    token_settings,
)
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.log import warn_once

# Its bars for single files would drown those of the runs.
disable_progress_bar()

WITH_LM = "Wav2Vec2ProcessorWithLM"
BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"

LOADERS: dict[TaskName, Any] = {
    "ctc": AutoModelForCTC,
    "seq2seq": AutoModelForSpeechSeq2Seq,
    "classification": AutoModelForAudioClassification,
}
HEADS: dict[TaskName, str] = {"ctc": "lm_head", "classification": "classifier"}


class ModelError(InputError):
    """A model that cannot be loaded; the message says from where, and what to do."""


def task_of(config: Any) -> TaskName:
    """What a model was made for: what its config says it is, else what its kind can be."""
    for name in config.architectures or ():
        if name.endswith(("ForSequenceClassification", "ForAudioClassification")):
            return "classification"
    for task, names in CLASSES.items():
        if config.model_type in names:
            return task
    raise ModelError(unsupported(config.to_dict()))


def _task(source: str, config: Any, given: TaskName | None) -> TaskName:
    """What a model is trained for; raises ModelError where its family has no head for that."""
    task = given or task_of(config)
    if problem := unsupported(config.to_dict(), task):
        raise ModelError(f"{source}: {problem}")
    return task


def vocabulary_of(utterances: Sequence[Utterance], task: TaskName) -> list[str]:
    """What a model that starts afresh can say: characters, or the names of the classes, sorted."""
    if task == "classification":
        return sorted({label_of(u) for u in utterances})
    return alphabet_of(utterances)


def padding_is_seen(config: Any) -> bool:
    """Whether the front end's group norm makes an utterance depend on the padding beside it."""
    return bool(getattr(config, "feat_extract_norm", "layer") != "layer")


def wave_extractor(*, attention_mask: bool, normalised: bool = True) -> Wav2Vec2FeatureExtractor:
    """`attention_mask`: to be given one (layer-norm front ends); `normalised`: to variance 1."""
    return Wav2Vec2FeatureExtractor(do_normalize=normalised, return_attention_mask=attention_mask)


def character_processor(alphabet: Collection[str], *, attention_mask: bool) -> Wav2Vec2Processor:
    """A processor for 16 kHz mono waves and one label per character; label 0 is the CTC blank.

    White space and the word delimiter are no characters: the labels are 0 … n-1 without a gap.
    """
    characters = {c for c in alphabet if not c.isspace()} - {SPACE}
    tokens = [BLANK, UNKNOWN, SPACE, *sorted(characters)]
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
    return Wav2Vec2Processor(wave_extractor(attention_mask=attention_mask), tokenizer)


def is_bare_config(source: str) -> bool:
    """Whether `source` is a config.json, or a folder with a config and no weights."""
    path = Path(source)
    if path.is_file():
        return path.suffix == ".json"
    has_weights = any(path.glob("*.safetensors")) or any(path.glob("*.safetensors.index.json"))
    has_weights |= (path / WEIGHTS).is_file()
    return (path / "config.json").is_file() and not has_weights


def _afresh(
    source: str, config: Any, task: TaskName, vocabulary: Collection[str]
) -> tuple[Any, dict[str, Any]]:
    """A processor for a head that knows nothing yet, and what the config has to say of it."""
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


def model_from_config(
    source: str, vocabulary: Collection[str], seed: int, task: TaskName | None = None
) -> tuple[PreTrainedModel, Any]:
    """A model with random weights drawn from `seed`, and a processor.

    `vocabulary` holds characters, or names of classes for `task` "classification"; the task is
    that of the config if it is not given.

    Raises:
        ModelError: the model's class is not supported, or has no head for the task.
    """
    config = read_config(source)
    task = _task(source, config, task)
    processor, settings = _afresh(source, config, task, vocabulary)
    for name, value in settings.items():
        setattr(config, name, value)
    for name in ("bos_token_id", "eos_token_id") if task == "ctc" else ():
        # UniSpeechSat's must be numbers; nothing looks at them.
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
    """A model with its weights; its vocabulary or classes are its own, or else those given.

    In float32 whatever it was saved in: steps as small as those of unlearning are lost in half
    precision.

    Raises:
        ModelError: nothing loadable at `source`, no vocabulary anywhere, or weights that are
            lacking, other than those of a head that is yet to be trained.
    """
    config = read_config(source)
    task = _task(source, config, task)
    if (folder := speechbrain_folder(source)) is not None:
        return _speechbrain_model(folder, config, vocabulary)
    own = _own_processor(source, task)
    foreign = task == "classification" and not set(vocabulary or ()) <= set(config.label2id)
    if own is not None and not foreign:
        return _with_weights(source, task, headless=vocabulary is not None), own
    if vocabulary is None or task == "seq2seq":
        raise ModelError(without_processor(source, task))
    made, settings = _afresh(source, config, task, vocabulary)
    model = _with_weights(source, task, headless=True, ignore_mismatched_sizes=True, **settings)
    # A head trained for another vocabulary is replaced, not misread, even where it would fit.
    getattr(model, HEADS[task]).reset_parameters()
    return model, own or made


def _speechbrain_model(
    folder: Path, config: Any, vocabulary: Collection[str] | None
) -> tuple[PreTrainedModel, Any]:
    """The embedding model of a SpeechBrain checkpoint, with a head for these classes."""
    if vocabulary is None:
        raise ModelError(
            f"{folder} tells nobody's name: fine-tune it to the corpus' speakers first"
        )
    processor, settings = _afresh(str(folder), config, "classification", vocabulary)
    for name, value in settings.items():
        setattr(config, name, value)
    try:
        return from_speechbrain(folder, config), processor
    except ValueError as error:
        raise ModelError(str(error)) from error


def _own_processor(source: str, task: TaskName) -> Any:
    """The processor saved with a model, None where there is none."""
    # Of a folder without a tokenizer transformers makes a Whisper's that cannot spell.
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


def _with_weights(
    source: str, task: TaskName, *, headless: bool, **settings: Any
) -> PreTrainedModel:
    """`headless`: weights in front of the backbone's output may be lacking, and are random then."""
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
    except (OSError, ValueError) as error:
        raise ModelError(_cannot_load(source, error)) from error
    backbone = f"{model.base_model_prefix}."
    lacking = [
        name
        for name in sorted(found["missing_keys"])
        # What stands for masked frames in training is not saved with models that were fine-tuned.
        if not (name.endswith("masked_spec_embed") or (headless and not name.startswith(backbone)))
    ]
    if lacking:
        raise ModelError(lacking_weights(source, lacking, sorted(found["unexpected_keys"])))
    return model


def read_config(source: str) -> Any:
    """Returns a model's config.

    Raises:
        ModelError: there is no config to be had, what is beside it is of no use, or the class of
            the model is not supported.
    """
    if problem := unusable(Path(source)):
        raise ModelError(problem)
    try:
        if (folder := speechbrain_folder(source)) is not None:
            return speechbrain_config(folder)
        content, _ = PreTrainedConfig.get_config_dict(source)
        # Before the config is read as its class does: some fail at that.
        if problem := unsupported(content):
            raise ModelError(f"{source}: {problem}")
        return AutoConfig.from_pretrained(source, trust_remote_code=False)
    except ModelError:
        raise
    except (OSError, ValueError) as error:
        raise ModelError(_cannot_load(source, error)) from error


def _cannot_load(source: str, error: Exception) -> str:
    gone = "" if Path(source).exists() else "there is no such folder here; "
    return (
        f"cannot load a model from {source!r}: {gone}give a Hugging Face name that can be reached, "
        f"a folder with config.json and model.safetensors, or a config.json to train from scratch "
        f"({error})"
    )


def load_model(source: str) -> tuple[PreTrainedModel, Any]:
    """A saved model and its processor."""
    return pretrained_model(source, vocabulary=None)


def save_model(model: PreTrainedModel, processor: Any, folder: Path) -> None:
    """Write a folder that `from_pretrained` and `transformers.pipeline` load."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    tokenizer = getattr(processor, "tokenizer", None)
    if isinstance(tokenizer, WhisperTokenizer):
        save_spellings(tokenizer, folder)
