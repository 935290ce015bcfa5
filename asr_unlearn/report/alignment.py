"""Reference and hypothesis word by word, so that a reader sees what went wrong."""

from typing import Literal, NamedTuple

import jiwer

Kind = Literal["equal", "substitute", "delete", "insert"]


class Word(NamedTuple):
    """One step of the alignment; the side that has no word is empty."""

    kind: Kind
    reference: str
    hypothesis: str


def align(reference: str, hypothesis: str) -> list[Word]:
    """Levenshtein alignment of the words, as jiwer counts them for the WER."""
    found = jiwer.process_words([reference], [hypothesis])
    said, heard = found.references[0], found.hypotheses[0]
    words: list[Word] = []
    for chunk in found.alignments[0]:
        left = said[chunk.ref_start_idx : chunk.ref_end_idx]
        right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        match chunk.type:
            case "delete":
                words += [Word("delete", word, "") for word in left]
            case "insert":
                words += [Word("insert", "", word) for word in right]
            case "equal":
                words += [Word("equal", *pair) for pair in zip(left, right, strict=True)]
            case _:
                words += [Word("substitute", *pair) for pair in zip(left, right, strict=True)]
    return words
