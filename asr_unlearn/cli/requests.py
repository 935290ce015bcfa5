"""Requests of a recipe that come one after the other."""

from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.cli.plan import Plan
from asr_unlearn.data.forget_list import check_names, read_names
from asr_unlearn.runtime.errors import InputError


def all_requests(plan: Plan, later: Sequence[Path]) -> list[Plan]:
    """The plan of the first request and those of the later ones.

    Raises:
        InputError: a recipe that forgets labels has later requests.
    """
    if later and "forget_labels" in plan.recipe.split:
        raise InputError("--requests is for speakers; this recipe forgets labels")
    plans = [plan]
    for forget in later:
        plans.append(plans[-1].later(forget))
    return plans


def check_requests(files: Sequence[Path], flag: str) -> None:
    """Raises InputError for a list that is missing or broken, or a speaker in two of them."""
    first: dict[str, Path] = {}
    for file in files:
        if not file.is_file():
            raise InputError(f"{flag} {file}: there is no such file")
        names = read_names(file)
        check_names("speaker", names)
        for name in names:
            if name in first:
                raise InputError(f"{file}: speaker {name} is in {first[name]} already")
        first |= dict.fromkeys(names, file)
