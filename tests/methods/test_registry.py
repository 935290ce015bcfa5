"""A method of one's own: a file and a class in it."""

import pytest

from asr_unlearn.methods.registry import make_method, name_of

MINE = """
from dataclasses import dataclass
from typing import ClassVar
from asr_unlearn.methods import Method

@dataclass(kw_only=True)
class Mine(Method):
    name: ClassVar[str] = "mine"
    paper: ClassVar[str] = "mine"
    needs: ClassVar = ("forget",)
    lr: float = 0.5
    power: int | float = 1
    def direction(self, step):
        raise ArithmeticError("as expected")
"""


def mine(folder, content=MINE, name="mine.py"):
    path = folder / name
    path.write_text(content)
    return f"{path}:Mine"


@pytest.mark.parametrize("first", ["", "from __future__ import annotations\n"])
def test_a_method_from_a_users_file(first, tmp_path):
    name = mine(tmp_path, first + MINE)
    method = make_method(name, {"lr": "0.25", "power": "0.5"})
    assert (method.name, method.lr, method.power) == ("mine", 0.25, 0.5)
    assert name_of(method) == name
    with pytest.raises(ValueError, match="no subclass of Method called 'Other'"):
        make_method(name.replace("Mine", "Other"), {})
    with pytest.raises(ValueError, match="there is no file"):
        make_method(f"{tmp_path}/none.py:Mine", {})


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (MINE, "mine.txt", r"mine\.txt is no Python file; call it mine\.py"),
        (
            MINE.replace("@dataclass(kw_only=True)", ""),
            "mine.py",
            r"required: lr; a method is a @dataclass",
        ),
        (
            MINE.replace("def direction", "def other"),
            "mine.py",
            r"neither `loss` nor `direction`; a method is a",
        ),
    ],
)
def test_what_is_no_method_is_explained(content, name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make_method(mine(tmp_path, content, name), {})
