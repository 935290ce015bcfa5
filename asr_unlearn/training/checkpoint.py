"""Everything a killed run needs to go on as if it had not been killed."""

import errno
import random
import shutil
import sys
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write, flush

# Of what a checkpoint holds: one of another format is no longer taken up.
FORMAT = 3
WEIGHTS, STATE = "model.safetensors", "state.pt"


def random_state() -> dict[str, Any]:
    """State of every generator in use; SpecAugment draws from NumPy's, dropout from torch's."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (
            kind,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            position,
            has_gauss,
            gauss,
        ),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    # There may be fewer GPUs than where it was saved.
    torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def save_weights(model: nn.Module, path: Path, *, durable: bool = True) -> None:
    """The model's own parameters and buffers, shared tensors once, published at once."""
    unique: dict[int, str] = {}
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in unique or tensor.numel() == 0:
            unique[tensor.data_ptr()] = name
            tensors[name] = tensor.detach().contiguous()
    with atomic_write(path, durable=durable) as aside:
        save_file(tensors, aside)


def read_weights(path: Path, device: torch.device) -> dict[str, Tensor]:
    """What `save_weights` has saved, by name."""
    return load_file(path, device=str(device))


def load_weights(model: nn.Module, path: Path) -> None:
    missing, unexpected = model.load_state_dict(load_file(path), strict=False)
    tied = {n for n in missing if n in model.state_dict()} - shared_names(model)
    if tied or unexpected:
        raise InputError(f"{path} does not fit the model: lacks {sorted(tied)}, has {unexpected}")


def shared_names(model: nn.Module) -> set[str]:
    """Names of tensors whose storage another, earlier name also holds."""
    seen: set[int] = set()
    shared = set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() in seen:
            shared.add(name)
        seen.add(tensor.data_ptr())
    return shared


def save_checkpoint(folder: Path, model: nn.Module, state: dict[str, Any]) -> None:
    """Publish `folder`/checkpoint-STEP, then remove older ones: at any moment one is whole."""
    older = checkpoints(folder)
    partial = folder / "checkpoint.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_weights(model, partial / WEIGHTS)
    with atomic_write(partial / STATE) as aside, aside.open("wb") as file:
        torch.save({**state, "random": random_state()}, file)
    final = folder / f"checkpoint-{state['step']:09d}"
    if final not in older:
        partial.rename(final)
        flush(folder)
        for folder_before in older:
            shutil.rmtree(folder_before)


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    return sorted(folder.glob("checkpoint-*"))


def best_weights(folder: Path, step: int | None) -> Path:
    """Where the weights of the step nearest to the target are kept for the end of the run."""
    return folder / f"best-{step}.safetensors"


def damage(checkpoint: Path) -> str | None:
    """Which file of a checkpoint cannot be read, and why; None where all can."""
    path = checkpoint / STATE
    try:
        nearest = _read_state(path).get("early_stopping", {}).get("nearest")
        for path in (
            checkpoint / WEIGHTS,
            *([] if nearest is None else [best_weights(checkpoint.parent, nearest)]),
        ):
            # The length is checked against the header, and nothing more is read.
            with safe_open(path, framework="pt"):
                pass
    # torch.load fails in many ways on what is no archive of its own.
    except (SafetensorError, RuntimeError, EOFError, UnpicklingError, LookupError) as error:
        return _damaged(path, error)
    except OSError as error:
        # Such as a file that may not be read: nothing is known of what it holds.
        if not (isinstance(error, FileNotFoundError) or error.errno == errno.EINVAL):
            raise
        return _damaged(path, error)
    return None


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is damaged ({' '.join(str(error).split()) or type(error).__name__})"


def remove_damaged(folder: Path) -> None:
    """Remove checkpoints that cannot be read, and say so: a run goes on from the one before."""
    for path in checkpoints(folder):
        if (said := damage(path)) is None:
            continue
        shutil.rmtree(path)
        print(
            f"{said}: it is removed, and the run goes on from the checkpoint before it, "
            "or begins anew where there is none",
            file=sys.stderr,
        )


def load_checkpoint(folder: Path, model: nn.Module) -> dict[str, Any] | None:
    """Restore the newest checkpoint's model and generators; return its state, or None.

    The state is on the CPU, wherever it was when it was saved.
    """
    found = checkpoints(folder)
    if not found:
        return None
    load_weights(model, found[-1] / WEIGHTS)
    state = _read_state(found[-1] / STATE)
    restore_random_state(state.pop("random"))
    return state


def _read_state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
