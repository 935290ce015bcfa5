"""Text is read whole or by lines, and is the same."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import read_lines, read_text


@given(text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n\u2028")))
@example(text="\ufeffa\r\nb\rc\n\nd\u2028e\x0cf")
def test_lines_are_those_of_the_text(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_bytes(text.encode())
    whole = read_text(path).split("\n")
    # The last line has no end.
    assert list(read_lines(path)) == (whole if whole[-1] else whole[:-1])


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "text").write_bytes(b"a\n\xe9\n")
    with pytest.raises(InputError, match=r"text is not UTF-8 \(invalid continuation byte\)"):
        list(read_lines(tmp_path / "text"))
    with pytest.raises(InputError, match="is a folder; give the file"):
        list(read_lines(tmp_path))
