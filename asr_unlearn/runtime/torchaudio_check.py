"""Check that torchaudio can be loaded: its binary fits only some releases of torch.

transformers imports torchaudio for wav2vec2 and Whisper, and hides the reason if that fails.
"""

import sys
from importlib.metadata import PackageNotFoundError, version

from asr_unlearn.runtime import program
from asr_unlearn.runtime.errors import AsrUnlearnError

# As in pyproject.toml, where the measured pairs are listed.
REQUIREMENTS = ("torch>=2.11,<2.15,!=2.12.0,!=2.13.*", "torchaudio==2.11.0")


class TorchaudioError(AsrUnlearnError, ImportError):
    """The installed torchaudio cannot be loaded beside the installed torch."""


def check_torchaudio() -> None:
    """Import torchaudio, which all models need.

    Call it before transformers is imported.

    Raises:
        TorchaudioError: it cannot be imported; the message names both versions and the remedy.
    """
    try:
        import torchaudio  # noqa: F401
    except Exception as error:
        cause = " ".join(str(error).split())
        remedy = " ".join(f"'{requirement}'" for requirement in REQUIREMENTS)
        raise TorchaudioError(
            f"torchaudio {_installed('torchaudio')} cannot be loaded beside "
            f"torch {_installed('torch')} ({cause}); pip install {remedy}"
        ) from error


def end_without_torchaudio(name: str) -> None:
    """Exit with one line and status 1 if torchaudio cannot be loaded.

    Args:
        name: of the program, at the start of the line.
    """
    _, debug = program.without_debug(sys.argv[1:])
    if status := program.reported(name, check_torchaudio, debug=debug):
        sys.exit(status)


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(not installed)"
