"""Two processes with unequal shares of the utterances take the step of one."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import asr_unlearn.gradients.jacobian
from asr_unlearn.gradients import MicroBatches, Rises, pool_step, streaming_step
from tests.support.gradient_checks import flat, positive_metric
from tests.support.gradient_problems import recogniser

POOLS = [[[0, 1], [2]], [[3, 4]]]
FORGET, RETAIN = [[0], [1, 2]], [[0, 1, 2], [3]]
CASES = [
    ("wav2vec2, group norm", {}),
    ("whisper", {"scope": "tensor", "forget_weights": lambda losses: losses / losses.sum()}),
    ("wavlm", {"metric": True}),
    ("wavlm", {"metric": True, "rises": True}),
]


def step(name, options, forget, retain, group=None):
    problem = recogniser(name, torch.float64)
    metric = positive_metric(problem.model) if options.get("metric") else None
    whole = problem.batch(2, 3), problem.batch(1, 4)
    rises = None
    if options.get("rises"):
        rises = Rises(lambda losses: 0.02, lambda losses: -0.1 * losses)
    return streaming_step(
        problem.model,
        problem.losses,
        whole[0].take(forget),
        whole[1].take(retain),
        group=group,
        **(options | {"metric": metric, "rises": rises}),
    )


def pooled(forget, pool, scope, group=None):
    """The step orthogonal to a pool, with a metric and weights, and how good it is."""
    problem = recogniser("wav2vec2, group norm", torch.float64)
    retain = problem.batch(1, 5)
    return pool_step(
        problem.model,
        problem.losses,
        problem.batch(2, 3).take(forget),
        [retain.take(indices) for indices in pool],
        forget_weights=lambda losses: losses / losses.sum(),
        metric=positive_metric(problem.model),
        scope=scope,
        group=group,
        tolerance=1e-9,
        max_iterations=40,
    )


def take_part(rank, folder):
    """One process, which saves its steps in the folder."""
    torch.set_num_threads(1)
    # Many ranges: both processes must use the same ones although their rows differ.
    asr_unlearn.gradients.jacobian.NUMBERS_AT_ONCE = 512
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    for number, (name, options) in enumerate(CASES):
        found = step(name, options, FORGET[rank], RETAIN[rank], dist.group.WORLD)
        parts = {part: flat(getattr(found, part)) for part in ("forget", "orthogonal", "retain")}
        torch.save(parts | {"losses": found.retain_losses}, folder / f"{number}-{rank}.pt")
    for scope in ("global", "tensor"):
        found = pooled(FORGET[rank], POOLS[rank], scope, dist.group.WORLD)
        saved = {part: flat(getattr(found, part)) for part in ("forget", "orthogonal", "retain")}
        figures = {"residual": found.residual, "iterations": found.iterations}
        torch.save(saved | figures | {"losses": found.retain_losses}, folder / f"{scope}-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder of what two processes found."""
    folder = tmp_path_factory.mktemp("together")
    mp.spawn(take_part, (folder,), nprocs=2)
    return folder


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
def test_two_processes_are_one(together):
    for number, (name, options) in enumerate(CASES):
        expected = step(name, options, [0, 1, 2], [0, 1, 2, 3])
        losses = []
        for rank in range(2):
            found = torch.load(together / f"{number}-{rank}.pt", weights_only=True)
            losses.append(found["losses"])
            for part in ("forget", "orthogonal", "retain"):
                a, b = flat(getattr(expected, part)), found[part]
                assert (a - b).norm() <= 1e-9 * a.norm(), (name, part)
        torch.testing.assert_close(torch.cat(losses), expected.retain_losses)


def test_two_processes_share_a_pool(together):
    for scope in ("global", "tensor"):
        expected = pooled([0, 1, 2], [[0, 1, 3], [2, 4]], scope)
        found = [torch.load(together / f"{scope}-{r}.pt", weights_only=True) for r in range(2)]
        assert 1 < found[0]["iterations"] == found[1]["iterations"] < 40
        assert found[0]["residual"] == found[1]["residual"] <= 1e-9
        for part in ("forget", "orthogonal", "retain"):
            whole = flat(getattr(expected, part))
            assert torch.equal(found[0][part], found[1][part]), (scope, part)
            assert (found[0][part] - whole).norm() <= 1e-6 * whole.norm(), (scope, part)
        losses = torch.cat([one["losses"] for one in found])
        torch.testing.assert_close(losses.sort().values, expected.retain_losses.sort().values)


@pytest.mark.parametrize("weights", [None, lambda losses: losses / losses.sum()])
def test_micro_batches_are_one_batch(weights):
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    expected = streaming_step(problem.model, problem.losses, forget, retain, forget_weights=weights)
    found = streaming_step(
        problem.model,
        problem.losses,
        MicroBatches([forget.take(indices) for indices in FORGET]),
        MicroBatches([retain.take(indices) for indices in RETAIN]),
        forget_weights=weights,
    )
    for part in ("forget", "orthogonal", "retain"):
        a, b = flat(getattr(expected, part)), flat(getattr(found, part))
        assert (a - b).norm() <= 1e-9 * a.norm(), part
    torch.testing.assert_close(found.retain_losses, expected.retain_losses)
