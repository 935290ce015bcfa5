"""Results in order, with few items taken ahead of them."""

import time

import pytest

from asr_unlearn.runtime import threads
from asr_unlearn.runtime.threads import mapped


def slow_first(number):
    time.sleep(0.05 if number == 0 else 0)
    return -number


@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_results_are_in_the_order_of_the_items(count, monkeypatch):
    monkeypatch.setattr(threads, "AHEAD", 7)
    assert list(mapped(slow_first, range(count), 3)) == [-number for number in range(count)]


def test_few_items_are_taken_ahead(monkeypatch):
    monkeypatch.setattr(threads, "AHEAD", 7)
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    ahead = [len(taken) - done for done, _ in enumerate(mapped(abs, items(), 2))]
    assert len(ahead) == 100
    assert max(ahead) == 8


def test_an_error_ends_the_work(monkeypatch):
    monkeypatch.setattr(threads, "AHEAD", 7)
    done = []

    def fail(number):
        done.append(number)
        if number == 3:
            raise ValueError("the third")

    with pytest.raises(ValueError, match="the third"):
        list(mapped(fail, range(100), 1))
    assert 3 < len(done) < 100
