"""A changed case changes nothing else of a transcript."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asr_unlearn.data.spelling import respelled

ASCII = st.text(st.characters(max_codepoint=127))


@pytest.mark.parametrize("spelling", ["lower", "upper"])
@given(text=st.text() | ASCII)
@example(text="Straße, a CAB")
@example(text="a CAB, it's 5")
def test_each_character_is_changed_by_itself(spelling, text):
    changed = respelled(text, spelling)
    assert len(changed) == len(text)
    for new, old in zip(changed, text, strict=True):
        cased = getattr(old, spelling)()
        assert new == (cased if len(cased) == 1 else old)
    assert respelled(text, "as_given") == text
