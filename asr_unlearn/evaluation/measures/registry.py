"""The measures of this package by name, and those that an evaluation is asked for."""

from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.evaluation.measures.measure import Evaluated, Measure
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.subclasses import named_classes
from asr_unlearn.runtime.text import did_you_mean

# mypy takes no abstract class for a `type[T]` (python/mypy#4717).
MEASURES = named_classes(__package__, Path(__file__).parent, Measure)  # type: ignore[type-abstract]


def chosen(asked: Sequence[str]) -> list[Measure]:
    """The measures that are asked for, each as NAME or NAME=ARGUMENT.

    Raises:
        InputError: there is no such measure, or it is asked for twice; or it lacks its argument, or
            takes none.
    """
    measures: dict[str, Measure] = {}
    for text in asked:
        name, separator, argument = text.partition("=")
        if name not in MEASURES:
            raise InputError(
                f"--measures: unknown measure {name!r}{did_you_mean(name, MEASURES)}; there are "
                f"{', '.join(MEASURES)}"
            )
        if name in measures:
            raise InputError(f"--measures: {name} is asked for twice")
        kind = MEASURES[name]
        if kind.takes and not argument:
            raise InputError(f"--measures {name}: give {kind.takes}, as {name}=...")
        if separator and not kind.takes:
            raise InputError(f"--measures {text}: {name} takes no argument")
        measures[name] = kind(argument)
    return list(measures.values())


def check_measures(measures: Sequence[Measure], given: Evaluated) -> None:
    """Raises InputError where a measure cannot be made of these models."""
    for measure in measures:
        if measure.needs_original and not given.originals():
            raise InputError(
                f"--measures {measure.name}: no model is called original; give its folder as "
                "--original"
            )
        measure.check(given)


def without_original(asked: Sequence[str]) -> list[str]:
    """Those of the measures asked for that can be made where there is no original.

    Unknown ones are left for `chosen` to refuse.
    """
    needing = {name for name, kind in MEASURES.items() if kind.needs_original}
    return [text for text in asked if text.partition("=")[0] not in needing]
