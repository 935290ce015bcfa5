"""PyTorch's attention function in operations that have rules, batch first.

`F.multi_head_attention_forward`, which WavLM calls, is one operation that contains its projections
and has the batch on the second axis.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

_SIGNATURE = inspect.signature(F.multi_head_attention_forward)

Attention = Callable[[], tuple[Tensor, Tensor | None]]


def written_out_attention(*args: Any, **kwargs: Any) -> Attention | None:
    """A function that computes what a call of `F.multi_head_attention_forward` does.

    None for unbatched inputs, added key and value biases, zero attention, or static keys.
    """
    call = _SIGNATURE.bind(*args, **kwargs)
    call.apply_defaults()
    options = call.arguments
    extras = ("bias_k", "bias_v", "static_k", "static_v")
    if any(options[name] is not None for name in extras) or options["add_zero_attn"]:
        return None
    if options["query"].dim() != 3 or (options["is_causal"] and options["attn_mask"] is None):
        return None
    return lambda: _attention(options)


def _attention(options: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
    heads = options["num_heads"]
    q, k, v = (
        F.linear(options[name].transpose(0, 1), weight, bias)
        .unflatten(-1, (heads, -1))
        .transpose(1, 2)
        for name, weight, bias in zip(
            ("query", "key", "value"), *_projections(options), strict=True
        )
    )
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if options["attn_mask"] is not None:
        scores = _masked(scores, options["attn_mask"])
    if options["key_padding_mask"] is not None:
        scores = _masked(scores, options["key_padding_mask"][:, None, None])
    weights = F.dropout(scores.softmax(-1), options["dropout_p"], options["training"])
    mixed = (weights @ v).transpose(1, 2).flatten(2)
    output = F.linear(mixed, options["out_proj_weight"], options["out_proj_bias"]).transpose(0, 1)
    if not options["need_weights"]:
        return output, None
    return output, weights.mean(1) if options["average_attn_weights"] else weights


def _projections(options: dict[str, Any]) -> tuple[list[Tensor], list[Tensor | None]]:
    """Weights and biases of query, key and value."""
    bias = options["in_proj_bias"]
    biases: list[Tensor | None] = [None] * 3 if bias is None else list(bias.chunk(3))
    if options["use_separate_proj_weight"]:
        return [options[f"{name}_proj_weight"] for name in "qkv"], biases
    return list(options["in_proj_weight"].chunk(3)), biases


def _masked(scores: Float[Tensor, "B H L S"], mask: Tensor) -> Float[Tensor, "B H L S"]:
    """Scores with a Boolean mask, True where attention is not allowed, or an additive one."""
    if mask.dim() == 3:
        mask = mask.view(scores.shape)
    if not mask.is_floating_point():
        return scores.masked_fill(mask, -float("inf"))
    return scores + mask
