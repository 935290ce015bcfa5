"""Remove what an evaluation leaves behind of the speakers to be forgotten."""

from dataclasses import dataclass
from pathlib import Path

from asr_unlearn.evaluation.traces import classifiers, remaining, remove_traces


@dataclass(frozen=True)
class Purged:
    """What a purge has done.

    Attributes:
        removed: files and folders that were removed.
        remaining: inputs and results that name the speakers, or were made from them.
        classifiers: configs of models whose classes have names, which may be speakers'.
    """

    removed: tuple[Path, ...]
    remaining: tuple[Path, ...]
    classifiers: tuple[Path, ...]

    def __str__(self) -> str:
        lines = [f"removed {path}" for path in self.removed] or ["nothing to remove"]
        lines += [f"left: {path}; delete it when it is no longer needed" for path in self.remaining]
        lines += [
            f"left: {path} names the model's classes; rename those that are forgotten speakers "
            "before the model is handed on"
            for path in self.classifiers
        ]
        return "\n".join(lines)


def purge(out: Path | str) -> Purged:
    """Remove the traces of the forgotten from an output folder.

    These are predictions, states, cached features, checkpoints, interrupted and replaced models,
    models that attacks trained, and reports that are not private. Models, deletion records, results
    and what the user gave stay.

    Args:
        out: folder of results.json and of the models.

    Returns:
        What was removed, and what is left for its owner to delete.

    Raises:
        InputError: the folder holds no evaluation.

    Examples:
        >>> from asr_unlearn import purge
        >>> purge("out").remaining[0]
        PosixPath('out/original')
    """
    folder = Path(out)
    removed = remove_traces(folder)
    left = remaining(folder)
    return Purged(tuple(removed), tuple(left), tuple(classifiers(folder, left)))
