"""The table of figures in a README, from results.json: nobody copies a number by hand.

python -m asr_unlearn.report.headline recipes/an4/results.json README.md
"""

import argparse
import re
from pathlib import Path

from asr_unlearn.evaluation.results import Results, read_results
from asr_unlearn.report import wording
from asr_unlearn.report.attacks import INFORMED
from asr_unlearn.report.comparison import Comparison, Entry, compare
from asr_unlearn.report.markdown import grid
from asr_unlearn.report.tables.column import Column, by_part, figure_cell, present, seed_remark
from asr_unlearn.report.tables.table import Cell, Row, Table
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write

BEGIN, END = "<!-- headline -->", "<!-- end of headline -->"


def headline(found: Comparison) -> Table | None:
    """What a reader wants to know first: is it like retrained, what is still seen, at what cost."""
    rate = found.rate
    columns = [
        *by_part(rate.key, rate.heading, wording.percent, ("forget", "retain", "test")),
        *by_part("loss", "Loss", wording.number, ("forget",)),
        Column("AUC of the loss", ("membership", "loss_auc"), wording.number),
        Column("AUC, informed", INFORMED.auc, wording.number),
        Column("Speaker probe", ("speaker_id", "probe_forget"), wording.percent),
        Column("Speaker judge", ("speaker_id", "judge_forget"), wording.percent),
        Column("Of retraining time", ("cost", "relative_to_retraining"), wording.times),
    ]
    columns = present(columns, found)
    if not columns:
        return None
    rows = tuple(
        Row(e.name, tuple(_cell(e, column, found) for column in columns)) for e in found.entries
    )
    headings = ("Model", *(column.heading for column in columns))
    return Table("Headline", headings, rows, seed_remark(found), of_models=True)


def _cell(entry: Entry, column: Column, found: Comparison) -> Cell:
    """Without its interval, which stands in the report and here would hide the figures."""
    spread = entry.spread(*column.keys)
    return figure_cell(spread, column.form, found.fewer_seeds(spread) if spread else "")


def headline_block(results: Results) -> str:
    """The table with its caption between its two markers.

    Raises:
        ValueError: no model has any of the figures.
    """
    table = headline(compare(results))
    if table is None:
        raise InputError("results.json has none of the headline's figures")
    return "\n".join([BEGIN, f"{results.record['corpus']}. {table.caption}", "", grid(table), END])


def put_headline(text: str, block: str) -> str:
    """A README with the block in place of the one it has.

    Raises:
        ValueError: it has no place for one.
    """
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not between.search(text):
        raise InputError(f"there is no {BEGIN} … {END} to put the table at")
    return between.sub(lambda _: block, text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the headline figures into a README.")
    parser.add_argument("results", type=Path, help="results.json of an evaluation")
    parser.add_argument("readme", type=Path)
    given = parser.parse_args()
    text = given.readme.read_text(encoding="utf-8")
    changed = put_headline(text, headline_block(read_results(given.results)))
    with atomic_write(given.readme) as aside:
        aside.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    main()
