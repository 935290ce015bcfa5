"""A digest of a module's weights."""

import hashlib

import torch
from torch import nn


def fingerprint(module: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of a module's parameters and buffers, names included."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
