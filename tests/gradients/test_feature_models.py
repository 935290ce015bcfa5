"""Rows of the Jacobian of models that take features, against autograd, over every parameter."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import AutoModelForAudioClassification, AutoModelForCTC

from asr_unlearn.models.supported import FEATURE_MODELS
from tests.support.gradient_checks import assert_same_rows, reference_rows, streamed_rows
from tests.support.gradient_problems import LABELS, Batch, Problem, ctc_losses
from tests.support.tiny_families import VOCABULARY, tiny_family

FRAMES, SAMPLES = 40, 1_600
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
LENGTHS = ("_get_feat_extract_output_lengths", "_get_subsampling_output_length")


def randomised(model, dtype):
    """The model with no parameter at zero, where some gradients would vanish."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=random))
    return model.to(dtype).eval()


def padded_batch(seed, size, shape, shortest, dtype, labels):
    """Inputs of unequal lengths, the first as long as all."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(shortest, shape[0] + 1, (size,), generator=random)
    lengths[0] = shape[0]
    inputs = torch.randn(size, *shape, generator=random, dtype=torch.float64).to(dtype)
    own = torch.arange(shape[0]) < lengths[:, None]
    inputs *= own.view(size, shape[0], *[1] * (len(shape) - 1))
    counts = torch.randint(2, labels + 1, (size,), generator=random)
    targets = torch.randint(1, VOCABULARY, (size, labels), generator=random)
    return Batch(inputs, lengths, targets, counts, torch.ones(size, dtype=dtype))


def ctc_problem(kind, dtype, **changes):
    torch.manual_seed(0)
    model = AutoModelForCTC.from_config(tiny_family(kind, **changes))
    model = randomised(model, dtype)
    frames_of = next(getattr(model, name) for name in LENGTHS if hasattr(model, name))
    width = 64 if kind == "granite_speech5_ctc" else 16
    width = 32 if kind == "wav2vec2-bert" else width

    def losses(batch):
        own = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
        if kind == "omniasr_ctc":
            logits = model(batch.inputs[:, None], padding_mask=own).logits
        else:
            logits = model(batch.inputs, attention_mask=own).logits
        return ctc_losses(logits, frames_of(batch.lengths).long(), batch)

    shape = (SAMPLES * 4,) if kind == "omniasr_ctc" else (FRAMES, width)

    def batch(seed, size):
        return padded_batch(seed, size, shape, shape[0] * 3 // 4, dtype, min(LABELS, 3))

    return Problem(model, losses, batch)


def classifier_problem(kind, dtype):
    torch.manual_seed(0)
    config = tiny_family(kind, num_labels=VOCABULARY)
    model = randomised(AutoModelForAudioClassification.from_config(config), dtype)
    spectrogram = kind == "audio-spectrogram-transformer"

    def losses(batch):
        own = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
        logits = model(batch.inputs, attention_mask=None if spectrogram else own).logits
        return batch.scale * F.cross_entropy(logits, batch.labels[:, 0], reduction="none")

    shape = (100, 16) if spectrogram else (FRAMES, 32)

    def batch(seed, size):
        return padded_batch(seed, size, shape, shape[0] // 2, dtype, 2)

    return Problem(model, losses, batch)


PROBLEMS = {
    **{kind: (ctc_problem, kind, {}) for kind in (*FEATURE_MODELS, "omniasr_ctc")},
    **{
        f"wav2vec2-bert, {positions}": (
            ctc_problem,
            "wav2vec2-bert",
            {"position_embeddings_type": positions},
        )
        for positions in ("relative", "rotary")
    },
    "wav2vec2-bert, adapter": (ctc_problem, "wav2vec2-bert", {"add_adapter": True}),
    "wav2vec2-bert, classifier": (classifier_problem, "wav2vec2-bert", {}),
    "spectrogram transformer": (classifier_problem, "audio-spectrogram-transformer", {}),
}

FAST = [
    "wav2vec2-bert",
    "wav2vec2-bert, classifier",
    "parakeet_ctc",
    "lasr_ctc",
    "omniasr_ctc",
    "wav2vec2-bert, rotary",
    "spectrogram transformer",
]


@pytest.mark.filterwarnings("ignore:no rule gives the per-utterance gradients")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", PROBLEMS)
def test_every_parameter_of_every_family(name, dtype):
    make, kind, changes = PROBLEMS[name]
    problem = make(kind, dtype, **changes)
    batch = problem.batch(1, 4)
    expected = reference_rows(problem, batch)
    reached = [name for name, rows in expected.items() if rows.any()]
    # All but the embedding of masked frames, which is used in training only.
    assert {n for n in expected if n not in reached} <= {"wav2vec2_bert.masked_spec_embed"}
    assert_same_rows(problem, expected, streamed_rows(problem, batch), TOLERANCE[dtype])


@pytest.mark.filterwarnings("error:no rule gives the per-utterance gradients")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", FAST)
def test_families_without_a_slow_path(name):
    make, kind, changes = PROBLEMS[name]
    problem = make(kind, torch.float64, **changes)
    streamed_rows(problem, problem.batch(1, 4))
