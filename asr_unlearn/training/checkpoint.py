"""Checkpoints: everything that an interrupted run needs to continue bit for bit."""

import json
import logging
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, load_model, save_model
from torch import Tensor, nn

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write, digest, flush, write_json

logger = logging.getLogger(__name__)

# Of a checkpoint's content: a run does not resume from one of another format.
FORMAT = 7
WEIGHTS, STATE, DIGESTS = "model.safetensors", "state.pt", "sha256.json"
# What each of several processes has of the optimizer's state, beside the checkpoints.
PARTS = "optimizer-*.part"


def random_state() -> dict[str, Any]:
    """The state of every random generator: SpecAugment draws from NumPy's, dropout from torch's."""
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
    """Set every random generator to a state from `random_state`."""
    random.setstate(state["python"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    # The machine may have fewer GPUs than the one that saved it.
    torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])


def save_weights(model: nn.Module, path: Path, *, durable: bool = True) -> None:
    """Write the model's parameters and buffers atomically, shared tensors once."""
    with atomic_write(path, durable=durable) as partial:
        save_model(model, str(partial))


def read_weights(path: Path, device: torch.device) -> dict[str, Tensor]:
    """The tensors that `save_weights` wrote, by name."""
    return load_file(path, device=str(device))


def load_weights(model: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote into the model.

    Raises:
        InputError: the file lacks tensors of the model, or has others.
    """
    missing, unexpected = load_model(model, path, strict=False)
    if missing or unexpected:
        raise InputError(
            f"{path} does not fit the model: lacks {sorted(missing)}, has {unexpected}"
        )


def save_part(folder: Path, step: int, rank: int, state: dict[str, Any]) -> None:
    """Write what one of several processes has of the optimizer's state, for the next checkpoint."""
    with atomic_write(_part(folder, step, rank)) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def load_part(folder: Path, step: int, rank: int) -> dict[str, Any]:
    """What `save_part` wrote, on the CPU."""
    return _read_state(_part(folder, step, rank))


def _part(folder: Path, step: int, rank: int) -> Path:
    return folder / f"optimizer-{step}-{rank}.part"


def save_checkpoint(folder: Path, model: nn.Module, state: dict[str, Any]) -> None:
    """Publish `folder`/checkpoint-STEP atomically, then remove older checkpoints.

    Args:
        state: the number "step", and anything else. If "parts" processes have each written their
            part of the optimizer's state before (see `save_part`), it has their number.
    """
    older = checkpoints(folder)
    partial = folder / "checkpoint.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_weights(model, partial / WEIGHTS)
    with atomic_write(partial / STATE) as temporary, temporary.open("wb") as file:
        torch.save({**state, "random": random_state()}, file)
    nearest = state.get("early_stopping", {}).get("nearest")
    used = [] if nearest is None else [best_weights(folder, nearest)]
    used += [_part(folder, state["step"], rank) for rank in range(state.get("parts", 0))]
    files = [partial / WEIGHTS, partial / STATE, *used]
    write_json(partial / DIGESTS, {path.name: digest(path) for path in files})
    final = folder / f"checkpoint-{state['step']:09d}"
    if final not in older:
        partial.rename(final)
        flush(folder)
        for folder_before in older:
            # Renamed first: a kill while its files are deleted must not leave a damaged checkpoint.
            folder_before.rename(partial)
            shutil.rmtree(partial)
    for path in folder.glob(PARTS):
        if path not in used:
            path.unlink()


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("checkpoint-*"))


def best_weights(folder: Path, step: int | None) -> Path:
    """The file for the weights of the step that is nearest to the target.

    Not named like a model's, whose digests are taken while it still lies beside them.
    """
    return folder / f"best-{step}.weights"


def damage(checkpoint: Path) -> str | None:
    """The file of a checkpoint that is not as it was saved, and why; None where all are."""
    path = checkpoint / DIGESTS
    try:
        for name, saved in json.loads(path.read_text(encoding="utf-8")).items():
            # The weights of the step nearest to the target lie beside the checkpoints.
            path = (checkpoint if name in (WEIGHTS, STATE) else checkpoint.parent) / name
            if digest(path) != saved:
                return f"{path} is damaged (its content has changed)"
    # Any other system error, such as a lack of permission, says nothing about the content.
    except FileNotFoundError:
        return f"{path} is damaged (there is no such file)"
    except (ValueError, AttributeError) as error:
        return f"{path} is damaged ({error})"
    return None


def set_aside_damaged(folder: Path) -> None:
    """Move checkpoints that cannot be read beside `folder`, with a warning."""
    for path in checkpoints(folder):
        if (reason := damage(path)) is None:
            continue
        aside = _free(folder.with_name(f"{folder.name}.damaged-{path.name}"))
        path.rename(aside)
        flush(folder.parent)
        logger.warning(
            "%s: its checkpoint is now %s, and the run continues from the checkpoint before it, "
            "or begins anew where there is none",
            *(reason, aside),
        )


def _free(path: Path) -> Path:
    """`path`, or with a number where it exists."""
    number, free = 2, path
    while free.exists():
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free


def load_checkpoint(folder: Path, model: nn.Module) -> dict[str, Any] | None:
    """Restore the model and the random generators from the newest checkpoint.

    Returns:
        The rest of its state, on the CPU; None without a checkpoint.
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
