"""The spelling of transcripts for a model: as given, in lower or in upper case."""

from collections.abc import Collection
from typing import Any, Literal

Spelling = Literal["as_given", "lower", "upper"]
NAMES: dict[Spelling, str] = {
    "as_given": "as they are given",
    "lower": "in lower case",
    "upper": "in upper case",
}


def respelled(text: str, spelling: Spelling) -> str:
    """The text in that case, character by character: "ß", whose capital is two, stays."""
    if spelling == "as_given":
        return text
    if text.isascii():
        # The same, and a hundred times as fast.
        return text.lower() if spelling == "lower" else text.upper()
    changed = (getattr(character, spelling)() for character in text)
    return "".join(new if len(new) == 1 else old for new, old in zip(changed, text, strict=True))


def spelling_of(characters: Collection[str]) -> Spelling:
    """The one case that all letters of a vocabulary have, "as_given" if it has both."""
    spellings: tuple[Spelling, Spelling] = ("lower", "upper")
    letters = {c for c in characters if len({respelled(c, s) for s in spellings}) == 2}
    for spelling in spellings:
        if letters and all(respelled(c, spelling) == c for c in letters):
            return spelling
    return "as_given"


def tokenizer_spelling(tokenizer: Any) -> Spelling:
    """The case in which a tokenizer writes transcripts."""
    if getattr(tokenizer, "do_upper_case", False):
        return "upper"
    # Such a tokenizer has capitals in its vocabulary and writes transcripts in lower case.
    if getattr(tokenizer, "do_lower_case", False):
        return "lower"
    return spelling_of({token for token in tokenizer.get_vocab() if len(token) == 1})
