"""OpenAI's whisper-tiny.en on real speech: what models from scratch cannot show."""

import json
from pathlib import Path

import pytest
import torch
from transformers import pipeline

from asr_unlearn import Stop, unlearn
from asr_unlearn.cli.main import main
from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import validate
from asr_unlearn.gradients import per_utterance_gradients, streaming_step
from asr_unlearn.gradients.weighted_gradient import weighted_gradient
from asr_unlearn.metrics.wer import rate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import score
from asr_unlearn.models.loading import load_model, save_model
from asr_unlearn.models.tasks import task_for
from asr_unlearn.models.tasks.compute import Compute
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.errors import InputError
from data_prep.librispeech import scan
from tests.support.gradient_checks import flat

pytestmark = pytest.mark.slow
LONGEST = 6.0


@pytest.fixture(scope="module")
def folder(shared_models: Path) -> str:
    return str(shared_models / "whisper-tiny.en")


@pytest.fixture(scope="module")
def spoken(shared_data: Path) -> list[Utterance]:
    """Two short utterances of each of three speakers."""
    everything = list(scan(shared_data / "LibriSpeech"))
    speakers = sorted({u.speaker for u in everything})[:3]
    found = []
    for speaker in speakers:
        own = sorted((u for u in everything if u.speaker == speaker), key=lambda u: u.id)
        found += validate(own, max_seconds=LONGEST, progress=False).kept[:2]
    assert len(found) == 6
    return found


def test_english_and_nothing_else(folder: str) -> None:
    prompts = [task_for(*load_model(folder), language=name).prompt for name in (None, "english")]
    assert prompts == [[50257, 50362], [50257, 50362]]
    with pytest.raises(InputError, match="transcribes English only"):
        task_for(*load_model(folder), language="german")


def test_transcripts_are_those_of_the_pipeline_in_either_window(
    folder: str, spoken: list[Utterance]
) -> None:
    task = task_for(*load_model(folder))
    task.model.eval()
    # LibriSpeech is written in capitals; OpenAI's models are not.
    assert choose_spelling(task, spoken) == "lower"
    assert set_window(task, "full", spoken) == 30
    whole = score(task, Inputs(task), spoken)
    recogniser = pipeline("automatic-speech-recognition", model=folder, dtype=torch.float32)
    for found in whole:
        wave, greedy = load_audio(found.utterance.audio), {"num_beams": 1}
        written = recogniser(wave, generate_kwargs=greedy)["text"]
        assert found.hypothesis == task.normalised(written)
        assert found.raw == (written.strip(), found.utterance.text.lower())
    assert set_window(task, "auto", spoken) == LONGEST
    short = score(task, Inputs(task), spoken)
    for scored in (whole, short):
        assert rate([found.errors("word") for found in scored]) < 0.15
    # Another window is another input: alike, not equal.
    for one, other in zip(whole, short, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=0.5)


def test_unlearning_changes_what_is_trained_and_nothing_else(
    folder: str, spoken: list[Utterance], tmp_path: Path
) -> None:
    model, processor = load_model(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parts = {"forget": spoken[:2], "retain": spoken[2:4], "unseen": spoken[4:]}
    # A rate at which one step of ascent does not overshoot.
    options = {"epochs": 1, "lr": 1e-5, "forget_batch": 2, "warmup": 0.0}
    found = unlearn(
        model, processor, **parts, method="gradient_ascent", stop=Stop(rule="steps"), **options
    )
    assert found.steps == 1
    save_model(found.model, processor, tmp_path / "forgotten")
    again = task_for(*load_model(str(tmp_path / "forgotten")))
    after = again.model.state_dict()
    assert after.keys() == before.keys()
    still = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
    # The frozen front end, and the encoder's sinusoids.
    frozen = {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "embed_positions.weight"}
    assert still >= {f"model.encoder.{name}" for name in frozen}
    assert all(name.startswith("model.encoder") or "k_proj" in name for name in still), still
    losses = {}
    for name, source in (("before", folder), ("after", str(tmp_path / "forgotten"))):
        task = task_for(*load_model(source))
        choose_spelling(task, (), "lower")
        set_window(task, "auto", spoken)
        task.model.eval()
        with torch.no_grad():
            losses[name] = task.losses(collate([Inputs(task)(u) for u in spoken[:2]])).mean()
    assert losses["after"] > losses["before"]


def test_training_is_refused_before_work_for_another_language(
    folder: str, corpus: Path, tmp_path: Path
) -> None:
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    with pytest.raises(InputError, match="transcribes English only"):
        main(["train", *data, "--model", folder, "--language", "german", "--out", str(tmp_path)])
    config = json.loads((Path(folder) / "config.json").read_text())
    assert config["vocab_size"] == 51864


def test_in_half_precision_a_step_is_orthogonal_to_the_exact_gradients(
    folder: str, spoken: list[Utterance]
) -> None:
    task = task_for(*load_model(folder))
    task.model.eval()
    task.freeze_front_end()
    set_window(task, "auto", spoken)
    choose_spelling(task, spoken, "auto")
    inputs = Inputs(task)
    forget, retain = (collate([inputs(u) for u in some]) for some in (spoken[:2], spoken[2:5]))
    rows, _ = per_utterance_gradients(task.model, task.losses, retain)
    exact, losses = weighted_gradient(task.model, task.losses, forget)
    task.compute = Compute(precision="bf16")
    step = streaming_step(task.model, task.losses, forget, retain)
    torch.testing.assert_close(step.forget_losses, losses, rtol=0.03, atol=1e-3)
    u, direction = flat(step.forget), flat(step.orthogonal)
    assert torch.cosine_similarity(u, flat(exact), dim=0) > 0.99

    def share(vector: torch.Tensor) -> float:
        """The largest cosine with the gradient of a retain utterance."""
        return float(((rows @ vector).abs() / rows.norm(dim=1) / vector.norm()).max())

    assert share(direction) < 2e-3
    assert share(u) > 10 * share(direction)
