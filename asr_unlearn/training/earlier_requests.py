"""Directions that a model has moved along for earlier deletion requests.

To forget more speakers can bring back those that were forgotten before (arXiv 2605.25962,
2604.19108). A later change that is orthogonal to the earlier ones does not take them back.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from asr_unlearn.gradients import Gradient, norm
from asr_unlearn.models.loading import load_model
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError

logger = logging.getLogger(__name__)


def earlier_models(folder: Path) -> Iterator[tuple[SavedModel, SavedModel]]:
    """Each unlearned model that the one at `folder` comes from, itself first, and its original.

    Ends where an original has been deleted.

    Raises:
        InputError: an original is not the model that was unlearned.
    """
    model = SavedModel.at(folder)
    while model.run().get("kind") == "unlearn":
        original = SavedModel.at(model.original())
        if not original.weights():
            logger.warning(
                "%s: the model before it, %s, is gone, so that what was forgotten then is not "
                "protected from later changes",
                *(model.folder, original.folder),
            )
            return
        if original.weights() != model.run()["original"]["sha256"]:
            raise InputError(
                f"{original.folder} is not the model that {model.folder} was unlearned from; put "
                "that one back, or give --protect_earlier false"
            )
        yield model, original
        model = original


def earlier_changes(folder: Path, parameters: Mapping[str, Tensor]) -> list[Gradient]:
    """The changes of these parameters by the requests before, the last first.

    Args:
        folder: of the model that is to be unlearned again.
        parameters: by name.

    Returns:
        One for each earlier request; none for a model that was never unlearned.

    Raises:
        InputError: an original is another one, or the models have other parameters.
    """
    found = []
    for model, original in earlier_models(folder):
        after, before = (
            dict(load_model(str(each.folder))[0].named_parameters()) for each in (model, original)
        )
        if lacking := parameters.keys() - after.keys() | parameters.keys() - before.keys():
            raise InputError(
                f"{model.folder}: {min(lacking)} is not among its weights, so that its change "
                "cannot be protected; give --protect_earlier false"
            )
        change = {name: after[name].detach() - before[name].detach() for name in parameters}
        found.append({name: c.to(parameters[name]) for name, c in change.items()})
    return found


def orthonormal(changes: Sequence[Gradient], names: Collection[str]) -> list[Gradient]:
    """Directions of unit length, orthogonal to each other, that span changes of some parameters."""
    found: list[Gradient] = []
    for change in changes:
        rest = {name: change[name].clone() for name in names}
        # Twice, as rounding leaves something where a change is nearly a combination of others.
        for _ in range(2):
            remove(rest, found)
        if (length := norm(rest)) > 0:
            found.append({name: c / length for name, c in rest.items()})
    return found


def remove(change: Mapping[str, Tensor], directions: Sequence[Gradient]) -> None:
    """Take the parts along orthonormal directions out of a change, in place."""
    for direction in directions:
        share = sum(
            float((c * direction[name]).sum(dtype=torch.float64)) for name, c in change.items()
        )
        for name, c in change.items():
            c.sub_(direction[name], alpha=share)


def keep_off(
    directions: Sequence[Gradient],
    parameters: Mapping[str, nn.Parameter],
    before: Mapping[str, Tensor],
) -> None:
    """Take the parts along these directions out of what has changed since `before`, in place."""
    with torch.no_grad():
        change = {name: p - before[name] for name, p in parameters.items()}
        remove(change, directions)
        for name, p in parameters.items():
            p.copy_(before[name] + change[name])
