"""The headline table of a results.json in a page, between its two markers."""

import re

from asr_unlearn.evaluation.results import Results
from asr_unlearn.reporting.comparison import compare
from asr_unlearn.reporting.render_markdown import grid
from asr_unlearn.reporting.tables import headline
from asr_unlearn.runtime.errors import InputError

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
