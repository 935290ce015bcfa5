"""Rates after each of several requests."""

from collections.abc import Sequence

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figure_cell
from asr_unlearn.reporting.tables.table import Row, Table

PARTS = ("forget", "forgotten", "retain")


def requests(found: Sequence[Comparison]) -> Table | None:
    """A model a row; for each request the rate of its speakers, of earlier ones, and of retain.

    Args:
        found: of each request, the first one first.

    Returns:
        None for a single request.
    """
    if len(found) < 2:
        return None
    rate = found[-1].rate
    columns = [
        (number, part)
        for part in PARTS
        for number in range(1, len(found) + 1)
        if found[number - 1].has(rate.key, part)
    ]
    rows = [
        Row(
            entry.name,
            tuple(
                figure_cell(found[number - 1].value(entry.name, rate.key, part), formats.percent)
                for number, part in columns
            ),
        )
        for entry in found[-1].entries
    ]
    headings = [f"{formats.PART_NAMES[part]}, {number}" for number, part in columns]
    caption = (
        f"{rate.heading} after each request, numbered. Forget: the speakers of that request; "
        "earlier: those of all requests before it; retain: those that are left. The models of a "
        "request come from those of the one before it by the same method; each retrained model is "
        "trained without all of these speakers. An earlier speaker that is recognised better again "
        "than by the retrained model has been brought back."
    )
    return Table("After each request", ("Model", *headings), tuple(rows), caption, of_models=True)
