"""Notices that are printed once."""

import sys
from functools import cache


@cache
def say_once(sentence: str) -> None:
    """Prints a notice to stderr, once however often it is given."""
    print(sentence, file=sys.stderr)
