"""Make a speech recogniser forget chosen speakers, and prove how well it did."""

import os
from typing import TYPE_CHECKING, Any

from asr_unlearn.runtime.version import __version__

# OpenMP's threads wait for each other spinning; on a machine with other work that made training
# thirty times slower. Has to be said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__all__ = ["Stop", "Unlearned", "Utterance", "__version__", "unlearn"]

if TYPE_CHECKING:
    from asr_unlearn.api import Unlearned, unlearn
    from asr_unlearn.data.manifest import Utterance
    from asr_unlearn.training.stop_rule import Stop


def __getattr__(name: str) -> Any:
    """Import the Python interface on first use: preparing data should not wait for torch."""
    import importlib

    homes = {
        "unlearn": "api",
        "Unlearned": "api",
        "Stop": "training.stop_rule",
        "Utterance": "data.manifest",
    }
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module(f"{__name__}.runtime.torchaudio_check").check_torchaudio()
    return getattr(importlib.import_module(f"{__name__}.{homes[name]}"), name)
