"""The CTC task: an utterance in a batch is the utterance alone, whatever the architecture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F  # noqa: N812
from tiny_model import tiny_options
from transformers import AutoConfig, AutoModelForCTC

from asr_unlearn.audio import SAMPLE_RATE
from asr_unlearn.batching import Batch, collate
from asr_unlearn.errors import InputError
from asr_unlearn.inputs import Inputs
from asr_unlearn.manifest import Utterance
from asr_unlearn.methods import METHODS
from asr_unlearn.models import character_processor
from asr_unlearn.tasks import CTC
from asr_unlearn.tasks.front_end import NonFiniteLossError
from asr_unlearn.tasks.waves import LEAKS_PADDING

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

FAMILIES = [
    "wav2vec2",
    "hubert",
    "wavlm",
    "unispeech",
    "unispeech-sat",
    "data2vec-audio",
    "wav2vec2-conformer",
    "sew",
    "sew-d",
]
WAVES = {"a": 9_000, "b": 5_500, "c": 7_321}


def build(family: str, norm: str = "layer") -> CTC:
    processor = character_processor("ABCD", attention_mask=norm == "layer")
    options = tiny_options() | {"feat_extract_norm": norm, "pad_token_id": 0}
    if family == "data2vec-audio":
        options["conv_pos_kernel_size"] = 7
    if family.startswith("sew"):
        options["squeeze_factor"] = 2
    options["vocab_size"] = len(processor.tokenizer)
    torch.manual_seed(0)
    model = AutoModelForCTC.from_config(AutoConfig.for_model(family, **options))
    return CTC(model.eval(), processor)


def utterances() -> list[Utterance]:
    return [
        Utterance(id=name, audio=Path(name), speaker="s", seconds=samples / 16_000, text="AB CAD")
        for name, samples in WAVES.items()
    ]


def load(utterance: Utterance) -> np.ndarray:
    rng = np.random.default_rng(WAVES[utterance.id])
    return rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


def batches(task: CTC) -> tuple[Batch, list[Batch]]:
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    return collate(examples), [collate([e]) for e in examples]


@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_model_called_on_the_wave(family, norm):
    task = build(family, norm)
    _, alone = batches(task)
    for batch in alone:
        with torch.no_grad():
            torch.testing.assert_close(task.logits(batch), task.model(batch.inputs).logits)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_its_utterances_alone(family, norm, frozen):
    task = build(family, norm)
    if frozen:
        task.freeze_front_end()
    together, alone = batches(task)
    assert together.inputs.dim() == (3 if frozen else 2)
    with torch.no_grad():
        losses, texts, sure = task.score(together)
        singly = [task.score(batch) for batch in alone]
    exact = family not in LEAKS_PADDING
    assert task.batches_are_exact == exact
    expected = torch.cat([one.losses for one in singly])
    tolerance = 1e-4 if exact else 0.1
    torch.testing.assert_close(losses, expected, rtol=tolerance, atol=tolerance)
    if exact:
        assert texts == [text for _, (text,), _ in singly]
        for field in ("confidence", "entropy"):
            each = torch.cat([getattr(one.certainty, field) for one in singly])
            torch.testing.assert_close(getattr(sure, field), each, rtol=1e-4, atol=1e-4)


def test_the_loss_is_ctc_over_labels():
    task = build("wav2vec2")
    together, alone = batches(task)
    losses = task.losses(together)
    for loss, batch in zip(losses, alone, strict=True):
        log_probs = task.model(batch.inputs).logits[0].log_softmax(-1)
        summed = F.ctc_loss(log_probs, batch.targets[0], (len(log_probs),), (6,), reduction="sum")
        torch.testing.assert_close(loss, summed / 6)


def test_a_front_end_that_is_frozen_gets_no_gradient_and_a_trained_one_does():
    for frozen in (False, True):
        task = build("wav2vec2")
        if frozen:
            task.freeze_front_end()
        task.losses(batches(task)[0]).sum().backward()
        reached = [p.grad is not None for p in task.front_end.parameters()]
        assert any(reached) != frozen


def test_greedy_decoding_removes_repeats_and_blanks_and_what_lies_past_the_end():
    task = build("wav2vec2")
    together, _ = batches(task)
    frames = task.frames(together.samples)
    path = torch.zeros(3, int(frames.max()), dtype=torch.long)
    path[:, :7] = torch.tensor([3, 3, 0, 3, 2, 5, 5])  # A A _ A | C C
    path[1, frames[1] :] = 6
    logits = F.one_hot(path, len(task.processor.tokenizer)).float()
    assert task.transcripts(logits, together) == ["AA C"] * 3


def test_an_impossible_transcript_is_named():
    task = build("wav2vec2")
    batch, _ = batches(task)
    many = torch.full((3, 200), 3)
    impossible = Batch(batch.ids, batch.inputs, batch.samples, many, torch.full((3,), 200))
    with pytest.raises(NonFiniteLossError, match="a, b, c"):
        task.losses(impossible)


def test_unknown_characters_and_missing_transcripts_are_named():
    task = build("wav2vec2")
    odd = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0, text="AB?")
    with pytest.raises(ValueError, match=r"u9: .*'AB\?'"):
        task.target(odd)
    silent = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0)
    with pytest.raises(ValueError, match="u9 has no transcript"):
        task.target(silent)


def test_the_characters_that_are_lacking_are_named_and_the_case_that_would_do():
    task = build("wav2vec2")
    odd = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0, text="ab é dab")
    with pytest.raises(
        ValueError, match="vocabulary lacks 'a' 'b' 'é' 'd' of 'ab é dab': s"
    ) as said:
        task.target(odd)
    assert "case" not in str(said.value)
    with pytest.raises(ValueError, match="lacks 'a' 'b' of 'AB ab': the model writes upper case"):
        task.target(replace(odd, text="AB ab"))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("samples", [0, 50])
def test_an_utterance_without_a_frame_is_named(samples, frozen, tmp_path):
    task = build("wav2vec2")
    if frozen:
        task.freeze_front_end()
    inputs = Inputs(
        task, load=lambda _: np.zeros(samples, np.float32), feature_cache=tmp_path / "features"
    )
    with pytest.raises(ValueError, match=rf"a: {samples} samples are too few for the model \(a\);"):
        inputs(utterances()[0])


def test_features_on_disk_are_read_back_and_belong_to_one_front_end(tmp_path):
    task = build("wav2vec2")
    task.freeze_front_end()
    calls = []

    def counted(utterance: Utterance) -> np.ndarray:
        calls.append(utterance.id)
        return load(utterance)

    first = [Inputs(task, load=counted, feature_cache=tmp_path)(u) for u in utterances()]
    again = [Inputs(task, load=counted, feature_cache=tmp_path)(u) for u in utterances()]
    assert len(calls) == 3
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.input, other.input)
        assert one.samples == other.samples
    with torch.no_grad():
        next(task.front_end.parameters()).add_(0.1)
    Inputs(task, load=counted, feature_cache=tmp_path)(utterances()[0])
    assert len(calls) == 4


def test_features_of_what_was_there_before_are_not_taken(tmp_path):
    """Another recording under the old name, or another treatment of the wave."""
    task = build("wav2vec2")
    task.freeze_front_end()
    path = tmp_path / "a.wav"
    utterance = replace(utterances()[0], audio=path)

    def features(samples):
        soundfile.write(path, np.random.default_rng(samples).normal(size=samples), SAMPLE_RATE)
        return Inputs(task, feature_cache=tmp_path)(utterance)

    assert features(8000).samples == 8000
    assert features(6000).samples == 6000
    kept = features(6000).input
    task.processor.feature_extractor.do_normalize = False
    assert not torch.equal(features(6000).input, kept)


@pytest.mark.parametrize("family", FAMILIES)
def test_cf_k_trains_the_last_layers_of_every_family(family):
    task = build(family)
    layers = task.layers()
    assert len(layers) == tiny_options()["num_hidden_layers"] + 1
    METHODS["cf_k"](layers=2).confine(task)
    left = {n for n, p in task.model.named_parameters() if p.requires_grad}
    last = {n for n, _ in task.model.named_parameters() if ".1." in n and ".layer" in n.lower()}
    last = {n for n in last if "feature_extractor" not in n and "pos_conv" not in n}
    assert last
    assert left == last | {"lm_head.weight", "lm_head.bias"}


def test_layers_that_are_elsewhere_are_asked_for_in_one_line():
    task = build("wav2vec2")
    encoder = task.model.wav2vec2.encoder
    encoder.blocks = encoder.layers
    del encoder.layers
    with pytest.raises(InputError, match=r"Wav2Vec2ForCTC: .* needs its encoder's .*lm_head"):
        METHODS["cf_k"]().confine(task)
