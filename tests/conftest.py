"""Shape and type checks on every tensor function, one torch thread, and the real speech at hand."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

install_import_hook(
    ["asr_unlearn.gradients", "asr_unlearn.tasks", "asr_unlearn.metrics", "asr_unlearn.batching"],
    "beartype.beartype",
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real speech beside the checkout: AN4, mini LibriSpeech, Speech Commands."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real speech is not at {folder}")
    return folder
