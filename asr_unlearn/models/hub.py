"""A model's folder: on disk, or downloaded from the Hub."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from asr_unlearn.runtime.errors import InputError

# A model without its copies in other formats.
FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


def model_folder(name: str) -> Path:
    """The folder of that name, else the folder that a model of the Hub is downloaded to.

    Raises:
        InputError: there is neither, or the Hub cannot be reached.
    """
    if (folder := Path(name)).is_dir():
        return folder
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise InputError(
            f"there is no model folder {name}, and none of that name can be had from the Hub"
        ) from error
