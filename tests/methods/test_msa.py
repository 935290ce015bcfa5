"""MSA: the model is the original minus α and plus β of what two fine-tunings of the base add."""

import pytest
import torch
from torch import nn

from asr_unlearn.methods import METHODS
from tests.support.toy_task import ToyModel, close, context, prepared, step

OPTIONS = {"lr": 0.1, "warmup": 0.25, "final_lr": 0.2, "clip": 0.7}


@pytest.fixture
def given():
    """A context whose base is not the original."""
    found = context()
    generator = torch.Generator().manual_seed(1)
    found.base["weight"] = torch.randn(3, 4, generator=generator).double()
    return found


def finetuned(given, part, steps):
    """The base after steps of AdamW on the batch of a part, as fine-tuning takes them."""
    model = ToyModel().double()
    with torch.no_grad():
        model.weight.copy_(given.base["weight"])
    batch = given.sources[part][0]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=OPTIONS["lr"], betas=(0.9, 0.98), weight_decay=0.0
    )
    method = METHODS["finetune"](**OPTIONS)
    losses = []
    for number in range(steps):
        logits = model(batch.inputs)
        loss = nn.functional.cross_entropy(logits, batch.targets[:, 0])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), method.clip)
        for group in optimizer.param_groups:
            group["lr"] = method.lr * method.rate(number, given.total)
        optimizer.step()
    return model.weight.detach(), losses


def run(given, steps, method=None, first=0, **options):
    """The model's weight after steps of the method, which is made unless it is given."""
    method = method or prepared("msa", given, **OPTIONS, **options)
    (weight,) = given.model.parameters()
    optimizer = method.optimizer([weight])
    losses = {"forget": [], "retain": []}
    for number in range(first, first + steps):
        found = method.direction(step(given, number))
        weight.grad = found.gradient["weight"]
        for group in optimizer.param_groups:
            group["lr"] = method.highest_rate * method.rate(number, given.total)
        optimizer.step()
        for part, own in found.losses.items():
            losses[part].append(own.mean().item())
    return weight.detach().clone(), losses, method


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.5), (0.6, 1.2), (2.0, 0.0)])
def test_the_model_is_that_of_the_formula(given, alpha, beta):
    original, base = given.model.weight.detach().clone(), given.base["weight"].clone()
    found, losses, _ = run(given, 5, alpha=alpha, beta=beta)
    forget, forget_losses = finetuned(given, "forget", 5)
    retain, retain_losses = finetuned(given, "retain", 5)
    close(found.numpy(), (original - alpha * (forget - base) + beta * (retain - base)).numpy())
    close(losses["forget"], forget_losses)
    close(losses["retain"], retain_losses if beta else [])
    assert torch.equal(given.base["weight"], base)


def test_the_fine_tunings_do_not_depend_on_the_model(given):
    """Both begin at the base, whatever the original is."""
    first, _, _ = run(given, 4)
    start = given.model.weight.detach().clone()
    second, _, _ = run(given, 4)
    original = context().model.weight.detach()
    close((second - start).numpy(), (first - original).numpy())


def test_its_state_carries_both_vectors_on(given):
    whole, _, _ = run(given, 6)
    with torch.no_grad():
        given.model.weight.copy_(context().model.weight)
    _, _, method = run(given, 3)
    state = method.state_dict()
    resumed = prepared("msa", given, **OPTIONS)
    resumed.load_state_dict(state)
    again, _, _ = run(given, 3, method=resumed, first=3)
    close(again.numpy(), whole.numpy())


def test_a_step_takes_the_rate_of_fine_tuning(given):
    rates = [METHODS[name](**OPTIONS) for name in ("msa", "finetune")]
    msa, finetune = ([m.highest_rate * m.rate(n, 8) for n in range(8)] for m in rates)
    assert msa == finetune
    assert METHODS["msa"](clip=1e-9).max_norm(step(given)) == float("inf")
