"""ECAPA-TDNN as SpeechBrain publishes it: hyperparams.yaml and embedding_model.ckpt."""

from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from asr_unlearn.models.ecapa import EcapaConfig, EcapaForAudioClassification
from asr_unlearn.runtime.errors import InputError

WEIGHTS, SETTINGS = "embedding_model.ckpt", "hyperparams.yaml"


def speechbrain_folder(source: str) -> Path | None:
    """The folder of a checkpoint in SpeechBrain's form, downloaded if `source` is on the Hub.

    None for anything else. On the Hub it is recognised by its owner, speechbrain.

    Raises:
        OSError: the Hub has no such checkpoint, or cannot be reached.
    """
    folder = Path(source)
    if source.startswith("speechbrain/") and not folder.exists():
        try:
            folder = Path(snapshot_download(source, allow_patterns=[WEIGHTS, SETTINGS]))
        except (HfHubHTTPError, LocalEntryNotFoundError) as error:
            raise OSError(f"{source} cannot be had from the Hub: {error}") from error
    return folder if (folder / WEIGHTS).is_file() else None


class _Tagless(yaml.SafeLoader):
    """HyperPyYAML read as plain YAML: its tags, which name code to run, are ignored."""


def _plain(loader: _Tagless, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


_Tagless.add_multi_constructor("!", _plain)


def speechbrain_config(folder: Path) -> EcapaConfig:
    """The config of the embedding model that a checkpoint's hyperparams.yaml describes.

    Raises:
        InputError: it describes no ECAPA-TDNN.
    """
    path = folder / SETTINGS
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Tagless)
    described = content.get("embedding_model") or {}
    sizes = {key: value for key, value in described.items() if key in EcapaConfig().embedding()}
    # References to other lines of the file are ignored with the tags.
    sizes = {key: value for key, value in sizes.items() if value is not None}
    if "channels" not in sizes:
        raise InputError(f"{path}: embedding_model is no ECAPA-TDNN with its channels")
    sizes.pop("input_size", None)
    return EcapaConfig(
        n_mels=content.get("n_mels", 80),
        architectures=[EcapaForAudioClassification.__name__],
        **sizes,
    )


def from_speechbrain(folder: Path, config: EcapaConfig) -> EcapaForAudioClassification:
    """The embedding model with its weights, and a head of random weights.

    Raises:
        InputError: the weights do not fit the config.
    """
    model = EcapaForAudioClassification(config)
    weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    try:
        model.ecapa.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{folder / WEIGHTS} does not fit {SETTINGS}: {error}") from error
    return model
