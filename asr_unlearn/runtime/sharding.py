"""Weights that are spread over the launched processes, for models that one cannot train (FSDP2).

Each process keeps a part of every weight, and with it of the gradient and of the optimizer's state.
A layer's weights are gathered where it computes, in the forward and the backward pass, so that all
processes must pass as many batches through the model.

The parts are plain tensors that share the memory of the spread weights. Elementwise work on them,
such as an optimizer's step, is that on the whole; a sum over weights is `summed` over processes.
"""

import copy
import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils.weak import WeakTensorKeyDictionary

logger = logging.getLogger(__name__)

_WHOLE: "WeakKeyDictionary[nn.Module, Any]" = WeakKeyDictionary()
_PARTS = WeakTensorKeyDictionary()
M = TypeVar("M", bound=nn.Module)
# Shares of layers that are skipped at random in training.
SKIPPED = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")


def is_sharded(model: nn.Module) -> bool:
    """Whether the weights of a model are spread over processes."""
    return isinstance(model, FSDPModule)


def sharded(
    model: M,
    layers: Sequence[nn.Module],
    replicated: Iterable[nn.Parameter],
    device: torch.device,
) -> M:
    """A copy of a model with its weights spread over the processes of the group.

    Args:
        model: stays whole; `whole` sets it to the weights of the copy.
        layers: of the model; the weights of one are gathered together, and the rest at once.
        replicated: parameters that are used outside the model's forward pass, and not trained.
        device: of this process.
    """
    copies: dict[int, Any] = {}
    spread = copy.deepcopy(model, copies)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    ignored: set[nn.Parameter] = {copies[id(parameter)] for parameter in replicated}
    for parameter in ignored:
        parameter.data = parameter.data.to(device)
    for layer in [*(copies[id(layer)] for layer in layers), spread]:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=ignored)
        # The sum over processes, not their mean; gloo has no scaled sum.
        layer.set_force_sum_reduction_for_comms(True)
        layer.set_gradient_divide_factor(1.0)
    _skip_no_layers(spread)
    # No output of the model is changed in place.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")
    _WHOLE[spread] = model
    return spread


def _skip_no_layers(model: nn.Module) -> None:
    """Processes that skip different layers would wait for each other's weights for ever."""
    for module in model.modules():
        for holder in (module, getattr(module, "config", None)):
            for name in SKIPPED:
                if getattr(holder, name, 0):
                    logger.warning("no layers are skipped at random (%s) in a sharded model", name)
                    setattr(holder, name, 0.0)


def unsharded(model: M) -> M:
    """The model itself, or that which it is a sharded copy of, with the weights of the copy.

    All processes call it.
    """
    if not is_sharded(model):
        return model
    source: M = _WHOLE[model]
    target = source.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            target[name].copy_(value.full_tensor() if isinstance(value, DTensor) else value)
    return source


def reshard(model: nn.Module) -> None:
    """Set a sharded model to the weights of the whole one; nothing for any other model."""
    if not is_sharded(model):
        return
    source = _WHOLE[model].state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not isinstance(value, DTensor):
                value.copy_(source[name])
                continue
            given = source[name].to(value.device)
            part = distribute_tensor(given, value.device_mesh, value.placements, src_data_rank=None)
            value.to_local().copy_(part.to_local())


def local_shard(parameter: nn.Parameter) -> nn.Parameter:
    """The part of a spread parameter that this process has, in the same memory."""
    if parameter not in _PARTS:
        assert isinstance(parameter.data, DTensor)
        _PARTS[parameter] = nn.Parameter(parameter.data.to_local())
    part: nn.Parameter = _PARTS[parameter]
    return part


def own_gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """This process's part of each gradient, after a backward pass; zeros where it has none."""
    found = []
    for parameter in parameters:
        gradient, parameter.grad = parameter.grad, None
        if isinstance(gradient, DTensor):
            found.append(gradient.to_local())
        else:
            found.append(torch.zeros_like(local_shard(parameter)))
    return found


def summed(model: nn.Module, value: Tensor) -> Tensor:
    """A sum over the weights of a model, from that over this process's parts of them."""
    if is_sharded(model):
        dist.all_reduce(value)
    return value
