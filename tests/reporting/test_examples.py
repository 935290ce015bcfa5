"""Alignment of transcripts."""

import jiwer
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.reporting.examples import align

sentences = st.lists(st.sampled_from(["a", "b", "ç", "|", "<i>"]), max_size=8).map(" ".join)


@given(sentences, sentences)
def test_alignment_keeps_both_sides_and_counts_what_jiwer_counts(
    reference: str, hypothesis: str
) -> None:
    words = align(reference, hypothesis)
    assert [word.reference for word in words if word.reference] == reference.split()
    assert [word.hypothesis for word in words if word.hypothesis] == hypothesis.split()
    counted = jiwer.process_words([reference], [hypothesis])
    kinds = [word.kind for word in words]
    assert kinds.count("substitute") == counted.substitutions
    assert kinds.count("delete") == counted.deletions
    assert kinds.count("insert") == counted.insertions
