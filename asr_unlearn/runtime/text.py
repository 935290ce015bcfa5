"""Normal forms of transcripts and names, printable text, and similar names."""

import difflib
import re
import unicodedata
from collections.abc import Collection, Sequence

# Controls and format characters: zero-width spaces and joiners, byte order marks, marks of
# direction, soft hyphens.
INVISIBLE = ("Cc", "Cf")
# Embeddings, overrides and isolates, which reverse what follows.
DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def names_in(given: str | Sequence[object]) -> list[str]:
    """The names in a text with commas, or in a list, without those that are empty."""
    names = given.split(",") if isinstance(given, str) else given
    return [stripped for name in names if (stripped := str(name).strip())]


def normal_text(text: str) -> str:
    """A transcript with single spaces between its words and no other white space of Unicode."""
    return " ".join(text.split())


def normal_name(name: str) -> str:
    """The normal form of an id, speaker or label: names that look alike have the same.

    Invisible characters are removed, characters are composed (Unicode's form NFC), and
    white space is as in `normal_text`.
    """
    if name.isascii() and name.isprintable():
        return normal_text(name)
    seen = (c for c in name if c.isspace() or unicodedata.category(c) not in INVISIBLE)
    return normal_text(unicodedata.normalize("NFC", "".join(seen)))


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can hold `text`; it cannot hold a file name in another encoding."""
    # Python keeps bytes of file names that are not UTF-8 as lone surrogates.
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def printable(text: str) -> str:
    """`text` with escapes for what would change the terminal, or what UTF-8 cannot hold.

    Such as `\\x1b` for the start of a terminal's control sequence, and `\\udce9` for half a
    character. Line breaks and tabs stay.
    """
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in text)


def _is_shown(character: str) -> bool:
    if character.isascii():
        return character.isprintable() or character in "\n\t"
    # Of format characters only marks of direction, which can make one name look like another.
    kind, direction = unicodedata.category(character), unicodedata.bidirectional(character)
    return kind not in ("Cc", "Cs") and direction not in DIRECTIONS


def one_line(text: str) -> str:
    """`text` as `printable`, with its line breaks as spaces."""
    return printable(" ".join(line.strip() for line in text.splitlines() if line.strip()))


def did_you_mean(name: str, known: Collection[str]) -> str:
    """` (did you mean 'a', 'b'?)` with similar names, ignoring case; or an empty string."""
    folded = {other.casefold(): other for other in sorted(known)}
    near = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    return f" (did you mean {', '.join(repr(folded[n]) for n in near)}?)" if near else ""


def plain_argument_error(message: str) -> str:
    """What jsonargparse says of a wrong value, in one line without names of Python's types.

    Such as "scope: expected one of 'global', 'tensor', got 'x'".
    """
    text = " ".join(message.split())
    text = re.sub(r"Parser key \"([^\"]+)\": ", r"\1: ", text)
    text = re.sub(r"Expected an? <class '([\w.]+)'>\.", r"expected \1,", text)
    text = re.sub(r"Expected an? typing\.Literal\[([^\],]*)\]\.", r"expected \1,", text)
    text = re.sub(r"Expected an? typing\.Literal\[([^\]]*)\]\.", r"expected one of \1,", text)
    return re.sub(r", Got value: (.+)$", r", got \1", text)
