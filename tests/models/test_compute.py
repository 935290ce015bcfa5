"""Half precision, and activations that are computed again: what changes, and what must not."""

import pytest
import torch
from accelerate.utils import set_seed

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.gradients.weighted_gradient import weighted_gradient
from asr_unlearn.models.adapters import Lora, add_adapters
from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.supported import CLASSES
from asr_unlearn.models.tasks import task_for
from asr_unlearn.models.tasks.compute import Compute, checkpoint_activations
from asr_unlearn.models.tdnn import TdnnConfig
from asr_unlearn.runtime.errors import InputError
from tests.support import whisper_task
from tests.support.tiny_families import tiny_config

OURS = (EcapaConfig.model_type, TdnnConfig.model_type)
# Other encoder-decoders than Whisper need a pretrained tokenizer.
CASES = [
    (kind, task)
    for task, kinds in CLASSES.items()
    for kind in kinds
    if kind not in ("moonshine", "speech_to_text")
]
CHECKPOINTED = [(kind, task) for kind, task in CASES if kind not in OURS]

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")


def build(kind, task, folder):
    """A task with weights at random, and a batch of three utterances."""
    tiny_config(kind).save_pretrained(folder)
    vocabulary = ["s", "t"] if task == "classification" else "ABCD"
    model, processor = model_from_config(str(folder), vocabulary, 0, task)
    made = task_for(model.eval(), processor)
    return made, whisper_task.batches(made, {"a": "AB CAD", "b": "A", "c": "DAD"})[0]


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.parametrize(("kind", "task"), CASES)
def test_half_precision_rounds_products_and_keeps_losses_and_gradients(kind, task, tmp_path):
    task, batch = build(kind, task, tmp_path)

    def squares(batch):
        return task.logits(batch).float().flatten(1).square().mean(1)

    losses = task.losses(batch)
    whole, expected = weighted_gradient(task.model, squares, batch)
    task.compute = Compute(precision="bf16")
    # oneDNN's kernels for AMX compute convolutions of 8 channels wrongly; torch's own do not.
    with torch.backends.mkldnn.flags(enabled=False):
        found = task.losses(batch)
        rounded, measured = weighted_gradient(task.model, squares, batch)
        scored = task.score(batch)
    assert task.with_model(task.model).compute == task.compute
    assert found.dtype == torch.float32
    assert {g.dtype for g in rounded.values()} == {torch.float32}
    assert not torch.equal(measured, expected)
    torch.testing.assert_close(found, losses, rtol=0.05, atol=0.02)
    assert whole.keys() == rounded.keys()
    before, after = (torch.cat([g.flatten() for g in each.values()]) for each in (whole, rounded))
    assert torch.cosine_similarity(before, after, dim=0) > 0.97
    torch.testing.assert_close(scored.losses, found, rtol=0.05, atol=0.02)
    assert len(scored.texts) == 3


@pytest.mark.parametrize(("kind", "task"), CHECKPOINTED)
def test_activations_that_are_computed_again_give_the_same_gradients(kind, task, tmp_path):
    task, batch = build(kind, task, tmp_path)
    task.model.train()
    expected, kept = saved_by(task, batch)
    checkpoint_activations(task.model)
    found, fewer = saved_by(task, batch)
    assert fewer < kept
    assert found.keys() == expected.keys() > set()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def saved_by(task, batch):
    """The gradients, and how many numbers the forward pass keeps for the backward pass."""
    # SpecAugment draws from NumPy's generator.
    set_seed(0)
    count = 0

    def pack(tensor):
        nonlocal count
        count += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        losses = task.losses(batch)
    kept, count = count, 0
    parameters = {n: p for n, p in task.model.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(
        losses.sum(), list(parameters.values()), materialize_grads=True, allow_unused=True
    )
    return dict(zip(parameters, gradients, strict=True)), kept


def test_adapters_below_checkpointed_layers_get_a_gradient(tmp_path):
    task, batch = build("whisper", "seq2seq", tmp_path)
    add_adapters(task.model, Lora(r=2))
    checkpoint_activations(task.model)
    task.model.train()
    for name, parameter in task.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    gradients, _ = saved_by(task, batch)
    adapters = {name for name, _ in task.model.named_parameters() if "lora_" in name}
    assert gradients.keys() == adapters > set()
    # The bias of attention's keys cancels in the softmax; adapters have none.
    assert all(gradient.abs().max() > 0 for gradient in gradients.values())


@pytest.mark.parametrize("kind", OURS)
def test_a_model_without_layers_to_checkpoint_is_refused(kind, tmp_path):
    task, _ = build(kind, "ctc" if kind == TdnnConfig.model_type else "classification", tmp_path)
    with pytest.raises(InputError, match="no layers to checkpoint"):
        checkpoint_activations(task.model)


def test_what_is_recorded_and_refused():
    assert Compute().recorded() == {}
    given = Compute(precision="bf16", max_seconds=2.5)
    assert Compute(**given.recorded()["compute"]) == given
    assert given.longest == 2.5 * SAMPLE_RATE
    for seconds in (-1.0, float("nan")):
        with pytest.raises(InputError, match="max_seconds must be 0 or more"):
            Compute(max_seconds=seconds)
