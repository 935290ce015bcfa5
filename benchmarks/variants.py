"""One full unlearning step, from batches to changed parameters, in several implementations.

Every variant descends α·mean(g_retain) − (1 − α)·d, with d the plain forget gradient (NegGrad+) or
its part orthogonal to every retain gradient (OrthoGrad).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from asr_unlearn.gradients import (
    MicroBatches,
    streaming_step,
    trainable_parameters,
)
from asr_unlearn.gradients.projection import project
from benchmarks.problems import Batch, Problem

ALPHA, LEARNING_RATE = 0.5, 1e-6
MICRO_BATCH = 4

Step = Callable[[Problem, Batch, Batch], None]
"""Problem, forget batch, retain batch."""


def _descend(problem: Problem, retain: Mapping[str, Tensor], forget: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in trainable_parameters(problem.model).items():
            parameter.sub_(retain[name], alpha=LEARNING_RATE * ALPHA)
            parameter.add_(forget[name], alpha=LEARNING_RATE * (1 - ALPHA))


def neggrad_plus(problem: Problem, forget: Batch, retain: Batch) -> None:
    """The lower bound: two backward passes into the same gradient, no projection."""
    (ALPHA * problem.losses(retain).mean()).backward()
    (-(1 - ALPHA) * problem.losses(forget).mean()).backward()
    _apply_gradients(problem)


def _apply_gradients(problem: Problem) -> None:
    with torch.no_grad():
        for parameter in trainable_parameters(problem.model).values():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=LEARNING_RATE)
                parameter.grad = None


def streaming(problem: Problem, forget: Batch, retain: Batch) -> None:
    """This package's engine."""
    step = streaming_step(problem.model, problem.losses, forget, retain)
    _descend(problem, step.retain, step.orthogonal)


def streaming_micro(problem: Problem, forget: Batch, retain: Batch) -> None:
    """The same step by this package's engine, with the graphs of 4 retain utterances at a time."""
    starts = range(0, len(retain), MICRO_BATCH)
    pieces = MicroBatches([retain.part(i, i + MICRO_BATCH) for i in starts])
    step = streaming_step(problem.model, problem.losses, forget, pieces)
    _descend(problem, step.retain, step.orthogonal)


def streaming_pieces(problem: Problem, forget: Batch, retain: Batch) -> None:
    """The same step with one utterance of either batch in a pass."""
    cut = [MicroBatches([b.part(i, i + 1) for i in range(len(b))]) for b in (forget, retain)]
    step = streaming_step(problem.model, problem.losses, *cut)
    _descend(problem, step.retain, step.orthogonal)


def stacked_rows(problem: Problem, forget: Batch, retain: Batch) -> None:
    """The authors' code: one utterance at a time, rows stacked, QR of the stack."""
    parameters = trainable_parameters(problem.model)
    forget_mean = _flat_gradient(problem, problem.losses(forget).mean())
    alone = [retain.part(i, i + 1) for i in range(len(retain))]
    rows = torch.stack([_flat_gradient(problem, problem.losses(one)[0]) for one in alone])
    basis, _ = torch.linalg.qr(rows.T)
    orthogonal = forget_mean - basis @ (basis.T @ forget_mean)
    sizes = [p.numel() for p in parameters.values()]
    pieces = [
        {n: v.view_as(p) for (n, p), v in zip(parameters.items(), flat.split(sizes), strict=True)}
        for flat in (rows.mean(0), orthogonal)
    ]
    _descend(problem, *pieces)


def _flat_gradient(problem: Problem, loss: Tensor) -> Tensor:
    parameters = list(trainable_parameters(problem.model).values())
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True, allow_unused=True)
    return torch.cat([gradient.reshape(-1) for gradient in gradients])


def vmap(problem: Problem, forget: Batch, retain: Batch) -> None:
    """`torch.func`: all rows at once from the logits on, as `vmap` does not support CTC."""
    parameters = {n: p.detach() for n, p in trainable_parameters(problem.model).items()}

    def rows(batch: Batch) -> dict[str, Tensor]:
        arguments = problem.arguments(batch)
        with torch.no_grad():
            logits = problem.model(**arguments).logits
        logits.requires_grad_()
        (deltas,) = torch.autograd.grad(problem.from_logits(logits, batch).sum(), logits)

        def pulled_back(alone: dict[str, Tensor], delta: Tensor) -> dict[str, Tensor]:
            inputs = {name: value[None] for name, value in alone.items()}
            _, pull = torch.func.vjp(
                lambda p: functional_call(problem.model, p, (), inputs).logits[0], parameters
            )
            result: dict[str, Tensor] = pull(delta)[0]
            return result

        gradients: dict[str, Tensor] = torch.func.vmap(pulled_back)(arguments, deltas)
        return gradients

    forget_mean = {name: g.mean(0) for name, g in rows(forget).items()}
    retained = {name: g.flatten(1) for name, g in rows(retain).items()}
    size = len(retain)
    gram, products = torch.zeros(size, size), torch.zeros(size)
    for name, g in retained.items():
        gram += g @ g.T
        products += g @ forget_mean[name].flatten()
    coefficients = project(gram, products).coefficients.float()
    orthogonal = {
        name: forget_mean[name] - (coefficients @ g).view_as(forget_mean[name])
        for name, g in retained.items()
    }
    _descend(
        problem, {n: g.mean(0).view_as(parameters[n]) for n, g in retained.items()}, orthogonal
    )


def torchjd(problem: Problem, forget: Batch, retain: Batch) -> None:
    """TorchJD's autogram: the Gram matrix of both batches together, then one backward pass."""
    from torchjd.autogram import Engine

    engine = _ENGINES.setdefault(id(problem), None) or Engine(problem.model, batch_dim=0)
    _ENGINES[id(problem)] = engine
    both = Batch(
        torch.cat([retain.inputs, forget.inputs]),
        torch.cat([retain.labels, forget.labels]),
        torch.cat([retain.lengths, forget.lengths]),
    )
    losses = problem.losses(both)
    gram = engine.compute_gramian(losses)
    size, mean = len(retain), torch.full((len(forget),), 1 / len(forget))
    coefficients = project(gram[:size, :size], gram[:size, size:] @ mean).coefficients.float()
    losses.backward(torch.cat([ALPHA / size + (1 - ALPHA) * coefficients, -(1 - ALPHA) * mean]))
    _apply_gradients(problem)


_ENGINES: dict[int, Any] = {}

VARIANTS: dict[str, Step] = {
    step.__name__: step
    for step in (
        neggrad_plus,
        streaming,
        streaming_micro,
        streaming_pieces,
        stacked_rows,
        vmap,
        torchjd,
    )
}
