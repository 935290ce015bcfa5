"""Transcripts that go on and on are counted apart from the errors in what was said."""

from asr_unlearn.evaluation.error_rates import overlong_transcripts


def row(part, words, said):
    return {"part": part, "words": words, "hypothesis": " ".join(["a"] * said)}


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
