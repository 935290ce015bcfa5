"""Measures are found by their files, and asked for by name."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from asr_unlearn.evaluation import measures
from asr_unlearn.evaluation.measures.registry import (
    MEASURES,
    check_measures,
    chosen,
    without_original,
)
from asr_unlearn.runtime.errors import InputError


def test_every_file_but_the_interface_and_the_registry_has_its_measure():
    files = {path.stem for path in Path(*measures.__path__).glob("[a-z]*.py")}
    assert files == {*MEASURES, "measure", "registry"}
    assert all(kind.__module__.endswith(f".{name}") for name, kind in MEASURES.items())


def test_measures_are_chosen_by_name_with_their_argument():
    found = chosen(["quantisation", "nearest_voices=a/b=c"])
    assert [(one.name, one.argument) for one in found] == [
        ("quantisation", ""),
        ("nearest_voices", "a/b=c"),
    ]
    assert chosen([]) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["quantization"], "unknown measure 'quantization' .did you mean 'quantisation'"),
        (["masking", "masking"], "masking is asked for twice"),
        (["masking=1"], "masking takes no argument"),
        (["nearest_voices"], "nearest_voices: give a speaker classifier's folder"),
        (["nearest_voices="], "nearest_voices: give a speaker classifier's folder"),
    ],
)
def test_what_cannot_be_chosen_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        chosen(asked)


def test_without_an_original_what_needs_it_is_refused_or_left_out():
    given = SimpleNamespace(originals=dict)
    needing = [name for name, kind in MEASURES.items() if kind.needs_original]
    assert needing == ["masking", "quantisation", "relearning", "update_leakage"]
    for name in needing:
        with pytest.raises(InputError, match=f"--measures {name}: no model is called original"):
            check_measures(chosen([name]), given)
    asked = ["extraction", *needing, "nearest_voices=x", "unknown"]
    assert without_original(asked) == ["extraction", "nearest_voices=x", "unknown"]
