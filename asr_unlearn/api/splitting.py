"""Divide a corpus for a deletion request."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

from asr_unlearn.api.arguments import NonNegativeInt, Seed
from asr_unlearn.data.forget_list import read_names
from asr_unlearn.data.later_request import later_split
from asr_unlearn.data.make_split import draw_speakers, make_label_split, make_split
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.data.split import Split
from asr_unlearn.data.split_file import SPLIT_KEYS, read_split, write_split
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_file
from asr_unlearn.runtime.text import names_in, normal_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WrittenSplit:
    """A split and its file.

    Attributes:
        path: split.json.
        split: who is forgotten, and the utterances of each part.
    """

    path: Path
    split: Split

    def __str__(self) -> str:
        names = " ".join(self.split.forget_speakers or self.split.forget_labels)
        counts = ", ".join(f"{part} {len(ids)}" for part, ids in self.split.parts.items())
        return f"to forget: {names}\n{counts} utterances"


def split(
    manifest: Path | str,
    out: Path | str,
    *,
    forget: str | Path | Sequence[str] | None = None,
    forget_labels: str | Path | Sequence[str] | None = None,
    draw: NonNegativeInt = 0,
    after: Path | str | None = None,
    seed: Seed = 0,
    heldout: float = 0.1,
    unseen: float = 0.1,
    test: float = 0.1,
) -> WrittenSplit:
    """Divide a corpus for a deletion request: one of `forget`, `forget_labels` and `draw`.

    Args:
        manifest: manifest.jsonl of the corpus.
        out: split.json to write.
        forget: who is to be forgotten: text file with a speaker id a line, `#` before a comment, or
            in Python a list of ids.
        forget_labels: labels to forget in place of speakers, such as keywords: with commas, or a
            text file with one a line.
        draw: in place of both, how many speakers to draw, for an experiment.
        after: split.json of the request before, for the next request on the same model: all parts
            stay, but for the speakers to forget now, who leave `retain`.
        seed: seed of every draw, 0 or more; with `after` that of the request before.
        heldout: share of the utterances to forget that is never trained on.
        unseen: share of the other speakers that is never trained on; not used where the corpus has
            a development set of its own, nor with `after`.
        test: share of the other speakers that is kept for the test part; not used where the corpus
            has a test set of its own, nor with `after`.

    Returns:
        The split, which has been written.

    Raises:
        InputError: nobody is named, no such speaker or label, too few speakers for a part, or a
            file that cannot be read or written.

    Examples:
        >>> from asr_unlearn import split
        >>> written = split("manifest.jsonl", "split.json", forget=["s0", "s1"], unseen=0.2)
        >>> written.split.forget_speakers
        ('s0', 's1')
    """
    manifest, out = Path(manifest), Path(out)
    listed = [Path(str(names)) for names in (forget, forget_labels) if _is_file(names)]
    check_file(out, manifest, *listed, *([Path(after)] if after else []), keys=SPLIT_KEYS)
    check_one_request(forget=forget, forget_labels=forget_labels, draw=draw or None)
    utterances = read_manifest(manifest)
    shares = {"heldout": heldout, "unseen": unseen, "test": test}
    if after is not None:
        _check_taken_over(seed=seed, unseen=unseen, test=test)
        made = _after(Path(after), manifest, utterances, forget, heldout)
    elif forget_labels is not None:
        labels = _labels(forget_labels, utterances)
        made = make_label_split(utterances, labels, seed=seed, **shares)
    else:
        speakers = (
            _speakers(forget, utterances)
            if forget is not None
            else draw_speakers(utterances, draw, seed)
        )
        made = make_split(utterances, speakers, seed=seed, **shares)
    if not made.parts["retain"]:
        logger.warning(
            "%s: no speaker is retained: only a few methods can be used, and what they do to "
            "others is measured on unseen and test speakers alone",
            manifest,
        )
    return WrittenSplit(out, write_split(out, made, manifest))


def _after(
    before: Path,
    manifest: Path,
    utterances: Sequence[Utterance],
    forget: str | Path | Sequence[str] | None,
    heldout: float,
) -> Split:
    """The split of a later request; raises InputError without a list of speakers."""
    if forget is None:
        raise InputError("--after: the next request names speakers: give --forget FILE")
    earlier = read_split(before, manifest, utterances)
    return later_split(earlier, utterances, _speakers(forget, utterances), heldout=heldout)


def _check_taken_over(**given: float) -> None:
    """Raises InputError for what a later request has from the one before."""
    defaults = {name: each.default for name, each in signature(split).parameters.items()}
    for name, value in given.items():
        if value != defaults[name]:
            raise InputError(
                f"--{name} {value:g}: with --after it is that of the request before; leave it out"
            )


def check_one_request(**given: str | Path | Sequence[str] | int | None) -> None:
    """Raises InputError unless exactly one request is given, and it names somebody."""
    named = {f"--{name}": value for name, value in given.items() if value is not None}
    if not named:
        raise InputError(
            "who is to be forgotten? Give --forget FILE, --forget_labels, or --draw N for an "
            "experiment with speakers drawn by the seed"
        )
    if len(named) > 1:
        raise InputError(f"{' and '.join(named)}: one request at a time")
    for flag, value in named.items():
        if isinstance(value, str) and not value.strip():
            raise InputError(f"{flag} is empty: it names nobody to forget")


def _is_file(names: str | Path | Sequence[str] | None) -> bool:
    # Path.is_file raises for what is too long to be a file's name.
    return isinstance(names, Path | str) and os.path.isfile(names)  # noqa: PTH113


def _labels(given: str | Path | Sequence[str], utterances: Sequence[Utterance]) -> list[str]:
    if _is_file(given):
        return read_names(Path(str(given)), {u.label for u in utterances if u.label})
    words = names_in(str(given) if isinstance(given, Path) else given)
    return [name for word in words if (name := normal_name(word))]


def _speakers(given: str | Path | Sequence[str], utterances: Sequence[Utterance]) -> list[str]:
    if isinstance(given, Path | str):
        return read_names(Path(given), {u.speaker for u in utterances})
    return [normal_name(name) for name in given]
