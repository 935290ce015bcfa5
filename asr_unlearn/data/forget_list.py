"""Read a forget list, and check it against the corpus."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import read_text
from asr_unlearn.runtime.text import did_you_mean, normal_name


class SplitError(InputError):
    """A request that does not fit the corpus; the message names the speaker or the part."""


def read_names(path: Path, known: Collection[str] = ()) -> list[str]:
    """Speaker ids or labels in their normal form, one a line, without comments.

    A line that is one of the `known` names as a whole is that name, even "#3" or "carl #3". In any
    other line `#` begins a comment at the start of a word; within a word it is part of the name, as
    in "anna#2".

    Raises:
        InputError: not UTF-8.
    """
    # Not splitlines: a name may hold what Unicode takes for the end of a line.
    lines = [normal_name(line) for line in read_text(path).split("\n")]
    names = [line if line in known else re.sub(r"(^|\s)#.*", "", line).strip() for line in lines]
    return [name for name in names if name]


def check_names(kind: Literal["speaker", "label"], forget: Sequence[str]) -> None:
    """Raises SplitError where no name is given, or one more than once."""
    if not forget:
        raise SplitError(f"the forget list names no {kind}")
    repeated = sorted(name for name, count in Counter(forget).items() if count > 1)
    if repeated:
        raise SplitError(f"the forget list names {', '.join(repeated)} more than once")


def check_known(
    kind: Literal["speaker", "label"],
    forget: Sequence[str],
    known: Collection[str],
    set_aside: Collection[str],
) -> None:
    """Raises SplitError unless all names to forget are known, each of them once."""
    check_names(kind, forget)
    for name in forget:
        if name in set_aside and name not in known:
            raise SplitError(
                f"{kind} {name} occurs only in the development or test set: "
                "the model was not trained on it"
            )
        if name not in known:
            some = f"; there are {', '.join(sorted(known)[:5])} …"
            hint = did_you_mean(name, known) or (some if known else "; the manifest has none")
            raise SplitError(f"unknown {kind} {name!r} in the forget list{hint}")
