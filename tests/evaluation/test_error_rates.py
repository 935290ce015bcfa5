"""Error rates by part; transcripts that go on and on are counted apart."""

import pytest

from asr_unlearn.evaluation.error_rates import (
    figures_by_part,
    gap_intervals,
    overlong_transcripts,
)


def row(part, words, said):
    return {"part": part, "words": words, "hypothesis": " ".join(["a"] * said)}


def test_the_rate_before_normalisation_stands_beside_the_other():
    """An utterance "The colour, Tim." that is written "the color tim" is right once normalised."""
    one = {"part": "test", "loss": 0.5, "word_errors": 0, "words": 3}
    one |= {"character_errors": 0, "characters": 13}
    other = {**one, "word_errors": 1, "words": 2}
    rows = [
        {**one, "speaker": "a", "raw_word_errors": 3, "raw_words": 3},
        {**other, "speaker": "b", "raw_word_errors": 2, "raw_words": 2},
    ]
    found = figures_by_part(rows)
    assert found["wer"] == {"test": pytest.approx(1 / 5)}
    assert found["raw_wer"] == {"test": 1.0}
    assert found["ci95"]["raw_wer"] == {}  # of two speakers
    plain = [{**one, "speaker": "a"}, {**other, "speaker": "b"}]
    assert "raw_wer" not in figures_by_part(plain)


def test_what_they_add_to_the_rate_of_their_part():
    rows = [
        row("forget", 10, 110),
        row("forget", 30, 31),
        # Twice the words and ten more are not too long yet.
        row("retain", 5, 20),
        row("test", 5, 21),
        row("test", 0, 11),
        row("test", 5, 0),
    ]
    assert overlong_transcripts(rows) == {
        "overlong": {
            "forget": {"utterances": 1, "wer": 100 / 40},
            "test": {"utterances": 2, "wer": 27 / 10},
        }
    }


def test_without_any_there_is_no_entry():
    assert overlong_transcripts([row("forget", 10, 12)]) == {}
    # Of a classifier.
    assert overlong_transcripts([{"part": "forget", "hypothesis": "yes", "errors": 0}]) == {}


def test_the_interval_of_a_difference_is_of_the_same_utterances():
    """Speakers differ far more than the two models do, which is no part of their difference."""
    hard = {"a": 1, "b": 10, "c": 30, "d": 60}
    retrained, model = (
        [
            {"id": name, "part": "test", "speaker": name, "loss": errors / 100 + more,
             "word_errors": errors + worse, "words": 100,
             "character_errors": errors, "characters": 400}
            for (name, errors), worse in zip(hard.items(), worse_by, strict=True)
        ]
        for more, worse_by in ((0.0, (0, 0, 0, 0)), (0.5, (2, 3, 3, 4)))
    )  # fmt: skip
    found = gap_intervals(model, retrained)
    # The characters are the same, and all losses are higher by the same: nothing to differ by.
    assert found.keys() == {"wer"}
    # Residuals -1, 0, 0 and 1 of 400 words; Student's t for three is 3.182.
    reach = 3.182446 * (4 / 3 * 2) ** 0.5 / 400
    assert found["wer"]["test"] == pytest.approx([0.03 - reach, 0.03 + reach])
    low, high = figures_by_part(retrained)["ci95"]["wer"]["test"]
    assert high - low > 10 * 2 * reach
    assert gap_intervals(model, model) == {}
