"""WER after Whisper's normalisation: what is written alike counts as alike."""

from types import SimpleNamespace

import pytest
from transformers.models.whisper.english_normalizer import BasicTextNormalizer

from asr_unlearn.evaluation.measures.normalised_wer import NormalisedWerMeasure, normalisers
from asr_unlearn.runtime import extras
from asr_unlearn.runtime.errors import InputError
from tests.support.attacked_models import measured


def rows(*texts):
    other = {"part": "test", "loss": 0.0, "character_errors": 0, "characters": 1}
    return [
        {"id": f"u{i}", "speaker": f"s{i}", "reference": said, "hypothesis": found, **other}
        for i, (said, found) in enumerate(texts)
    ]


def normalised_wer(own, *languages):
    utterances = [
        SimpleNamespace(id=row["id"], language=language)
        for row, language in zip(own, languages or [None] * len(own), strict=True)
    ]
    corpus = SimpleNamespace(manifest=utterances)
    given = SimpleNamespace(corpus=corpus, rows={("model", 0): own})
    return NormalisedWerMeasure().entries(given)["model", 0]


def test_spellings_numbers_and_contractions_count_as_alike():
    found = normalised_wer(
        rows(("I'M TWENTY ONE", "i am 21"), ("THE COLOUR, UM, GREY", "the color gray red"))
    )
    assert found["normalised_wer"] == {"test": pytest.approx(1 / 6)}
    assert found["ci95"]["normalised_wer"] == {}  # of two speakers


def test_a_reference_of_fillers_alone_is_left_out():
    assert normalised_wer(rows(("HMM", "him"), ("YES", "yes")))["normalised_wer"] == {"test": 0}
    assert normalised_wer(rows(("HMM", "him")))["normalised_wer"] == {}


def test_in_other_languages_case_and_punctuation_alone_are_ignored():
    texts = ("Er sagte: EINUNDZWANZIG", "er sagte 21")
    assert normalised_wer(rows(texts), "de")["normalised_wer"] == {"test": pytest.approx(1 / 3)}
    assert normalisers()[1](texts[0]) == BasicTextNormalizer()(texts[0])


def test_it_needs_words_and_its_extra(monkeypatch):
    given = SimpleNamespace(models=[SimpleNamespace(kind=lambda: "classification")])
    with pytest.raises(InputError, match="a classifier writes no words"):
        NormalisedWerMeasure().check(given)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs whisper_normalizer.*asr_unlearn\[normaliser\]"):
        NormalisedWerMeasure().check(given)


def test_from_the_command_line_it_stands_beside_the_wer(data, evaluated):
    (entry,) = measured(data, "normalised_wer", "original").values()
    assert entry["normalised_wer"].keys() == entry["wer"].keys()
    assert entry["ci95"]["normalised_wer"].keys() <= entry["wer"].keys()
