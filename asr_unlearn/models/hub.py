"""A model's folder: on disk, downloaded from the Hub, or sent there."""

from pathlib import Path

from huggingface_hub import HfApi, get_token, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.text import one_line

# A model without its copies in other formats.
FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
# What records how the model was made: whoever has it may publish it, with its paths, by hand.
RECORDS = ("run.json", "deletion_record.json")
# All that a request may raise: of httpx or of its successor, by the version of huggingface_hub.
FAILURES: tuple[type[BaseException], ...] = HfHubHTTPError.__bases__


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


def check_push(name: str | None) -> None:
    """Raises InputError if a model cannot be sent to the Hub under that name; None sends none."""
    if name is None:
        return
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"--push_to_hub {name}: {error}") from error
    if get_token() is None:
        raise InputError(
            "--push_to_hub: no token of the Hub is known; log in by `hf auth login`, or set "
            "HF_TOKEN"
        )


def push(folder: Path, name: str | None) -> None:
    """Send a published model and its card to the Hub, to a private repository if it is new.

    Of several processes the first one sends.

    Args:
        name: of the repository; None sends nothing.

    Raises:
        InputError: the Hub cannot be reached, or refuses; the folder stays as it is.
    """
    if name is None or not distributed.is_first():
        return
    api = HfApi()
    try:
        api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            folder_path=folder,
            allow_patterns=[*FILES, "README.md"],
            ignore_patterns=list(RECORDS),
            commit_message="Model made by asr_unlearn",
        )
    except FAILURES as error:
        raise InputError(
            f"{folder} is complete, but was not sent to the Hub ({one_line(str(error))}); "
            f"send it by `hf upload {name} {folder}`"
        ) from error
