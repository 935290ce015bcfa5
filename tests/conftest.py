"""Shape and type checks on every tensor function, one torch thread, and speech to work on."""

import os
import sys
from pathlib import Path

import hypothesis
import pytest
import speechbrain  # noqa: F401 - imported here for its redirections, which go at once
from jaxtyping import install_import_hook
from speechbrain.utils.importutils import DeprecatedModuleRedirect

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

# SpeechBrain keeps modules of older names in sys.modules that warn or fail when anything looks at
# them, and hypothesis looks at every module.
for name, module in list(sys.modules.items()):
    if isinstance(module, DeprecatedModuleRedirect):
        del sys.modules[name]

# A machine that is busy with other work is no fault of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

install_import_hook(
    [f"asr_unlearn.{name}" for name in ("gradients", "models", "metrics", "data.batching")],
    "beartype.beartype",
)


def beside_the_checkout(name: str) -> Path:
    """A folder of ../shared; without it the test is skipped, and fails where CI is "true"."""
    folder = Path(__file__).resolve().parents[2] / "shared" / name
    if not folder.is_dir():
        missing = f"NOT TESTED: {folder} does not exist"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real speech beside the checkout: AN4, mini LibriSpeech, Speech Commands."""
    return beside_the_checkout("data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Real pretrained models beside the checkout: OpenAI's whisper-tiny.en."""
    return beside_the_checkout("models")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly which tests of real speech and real models have not run."""
    skipped = [
        r for r in terminalreporter.stats.get("skipped", []) if "NOT TESTED" in r.longreprtext
    ]
    if skipped:
        terminalreporter.section("NOT TESTED: real speech or models", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests were skipped without ../shared")


SPEAKERS = [f"s{i}" for i in range(8)]
TEXTS = ["AB BA", "A CAB", "BAD CAB", "DAB A"]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder with manifest.jsonl and split.json: eight hums, four utterances each."""
    import numpy as np
    import soundfile

    from asr_unlearn.data.make_split import make_split
    from asr_unlearn.data.manifest import Utterance, write_manifest
    from asr_unlearn.data.split_file import write_split

    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    utterances = []
    for number, speaker in enumerate(SPEAKERS):
        for index, text in enumerate(TEXTS):
            samples = int(rng.integers(4_000, 9_000))
            wave = 0.3 * np.sin(
                np.arange(samples) * (number + 2) / 40
            ) + 0.05 * rng.standard_normal(samples)
            path = folder / f"{speaker}-{index}.wav"
            soundfile.write(path, wave.astype("float32"), 16_000)
            utterances.append(
                Utterance(
                    id=path.stem,
                    audio=path,
                    speaker=speaker,
                    seconds=samples / 16_000,
                    text=text,
                    subset="test" if speaker == "s7" else "train",
                )
            )
    write_manifest(folder / "manifest.jsonl", utterances)
    split = make_split(utterances, ["s0", "s1"], seed=0, heldout=0.25, unseen=0.2)
    write_split(folder / "split.json", split, folder / "manifest.jsonl")
    return folder


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory):
    """Folder with the config of a wav2vec2 of a few thousand parameters (layer-norm front end)."""
    from transformers import Wav2Vec2Config

    from tests.support.tiny_model import tiny_options

    folder = tmp_path_factory.mktemp("tiny")
    Wav2Vec2Config(**tiny_options(), feat_extract_norm="layer", conv_bias=True).save_pretrained(
        folder
    )
    return folder
