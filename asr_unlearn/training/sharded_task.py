"""A task whose weights are spread over the processes while it is trained (`compute.shard`)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from asr_unlearn.methods import METHODS, Method
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.sharding import sharded, unsharded


@contextmanager
def sharded_task(task: Task, method: Method) -> Iterator[Task]:
    """Yield the task itself, or one with a sharded copy of its model if its `compute` says so.

    When the context ends the model of `task` has the weights of the copy. Until then it is on the
    CPU.

    Raises:
        InputError: there is one process only; or the model or the method cannot be spread.
    """
    if not task.compute.shard:
        yield task
        return
    _check(task, method)
    device = task.device
    nn.Module.to(task.model, "cpu")
    model = sharded(task.model, _blocks(task), task.front_end.parameters(), device)
    yield task.with_model(model)
    unsharded(model)


def _blocks(task: Task) -> list[nn.Module]:
    """The layers whose weights are gathered together; heads may share theirs with embeddings."""
    held = {id(m) for each in task.model.modules() if isinstance(each, nn.ModuleList) for m in each}
    return [layer for layer in task.layers() if id(layer) in held]


def _check(task: Task, method: Method) -> None:
    if distributed.group() is None:
        raise InputError(
            "--compute.shard spreads the weights over several processes: start them, for instance "
            "torchrun --nproc-per-node 2 -m asr_unlearn ..."
        )
    if task.compute.max_seconds:
        raise InputError("--compute.shard: leave out --compute.max_seconds; use smaller batches")
    if not task.front_end_is_frozen:
        raise InputError("--compute.shard: the front end must stay frozen: --freeze_front_end true")
    if not method.shardable or method.project or method.sam:
        able = ", ".join(sorted(name for name, each in METHODS.items() if each.shardable))
        raise InputError(
            f"--compute.shard: {method.name} needs whole gradients in each process; these do "
            f"without, when they have neither project nor sam: {able}"
        )
