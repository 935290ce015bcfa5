"""Put the headline table of a results.json into a README, between its two markers.

python -m asr_unlearn.reporting.readme recipes/an4/results.json README.md
"""

import argparse
import re
from pathlib import Path

from asr_unlearn.evaluation.results import Results, read_results
from asr_unlearn.reporting.comparison import compare
from asr_unlearn.reporting.render_markdown import grid
from asr_unlearn.reporting.tables import headline
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write

BEGIN, END = "<!-- headline -->", "<!-- end of headline -->"


def headline_block(results: Results) -> str:
    """The table with its caption between the markers.

    Raises:
        InputError: no model has any of the figures.
    """
    found = compare(results)
    table = headline(found)
    if table is None:
        raise InputError("results.json has none of the headline's figures")
    return "\n".join([BEGIN, f"{found.corpus}. {table.caption}", "", grid(table), END])


def put_headline(text: str, block: str) -> str:
    """The README's text with the block in place of the one that it has.

    Raises:
        InputError: the text has no markers.
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
    with atomic_write(given.readme) as temporary:
        temporary.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    main()
