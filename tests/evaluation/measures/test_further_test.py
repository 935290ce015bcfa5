"""A further test set: the same figures as of the split's test part, of other recordings."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr_unlearn.data.manifest import write_manifest
from asr_unlearn.evaluation.measures.further_test import FurtherTestMeasure, entry, long_enough
from asr_unlearn.evaluation.traces import CACHES
from asr_unlearn.models import targets
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.cache import cache_folder
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.file_state import FileState
from tests.support.attacked_models import measured


def evaluated_on(data, utterances):
    """The entry of the original, evaluated on a further manifest of these utterances."""
    manifest = data.cache / "further.jsonl"
    write_manifest(manifest, utterances)
    return measured(data, f"further_test={manifest}", "original")["original"]


def test_on_the_test_part_itself_the_figures_are_the_same(data, evaluated):
    """Other recordings of the speakers of its other parts are left out."""
    found = evaluated_on(data, data.manifest)
    further, test = found["further_test"], data.part("test")
    assert (further["utterances"], further["speakers"]) == (
        len(test),
        len({u.speaker for u in test}),
    )
    for figure in ("wer", "cer", "loss"):
        assert further[figure] == pytest.approx(found[figure]["test"])


def test_other_speakers_and_recordings_count(data, evaluated):
    others = [replace(u, id=f"new-{u.id}", speaker="new") for u in data.part("retain")]
    given = [*data.part("test"), *others, *data.part("forget")]
    found = evaluated_on(data, given)
    further = found["further_test"]
    assert further["utterances"] == len(data.part("test")) + len(others)
    assert further["speakers"] == len({u.speaker for u in data.part("test")}) + 1
    speakers = further["speakers"] >= 3
    assert bool(found["ci95"].get("further_test")) == speakers


def test_replaced_recordings_are_transcribed_again_or_refused(data, evaluated, tmp_path):
    first, second = data.part("test")[:2]
    audio = tmp_path / first.audio.name
    shutil.copy(first.audio, audio)
    new = replace(first, id="new", speaker="new", audio=audio, sha256=None)
    before = evaluated_on(data, [new])["further_test"]["loss"]
    shutil.copy(second.audio, audio)
    after = evaluated_on(data, [new])["further_test"]["loss"]
    assert after != before
    assert {path.name for path in cache_folder(data.cache / "measured.json").iterdir()} <= CACHES
    known = replace(new, sha256=FileState.of(first.audio).sha256)
    with pytest.raises(InputError, match="the recording of utterance new, was replaced"):
        evaluated_on(data, [known])


def test_a_manifest_of_known_speakers_alone_is_refused(data, evaluated):
    with pytest.raises(InputError, match=r"further_test=\S+: all its speakers are in the"):
        evaluated_on(data, data.part("retain", "forget"))


def test_an_utterance_without_a_target_is_named_before_anything_is_transcribed(data, evaluated):
    odd = replace(data.part("test")[0], id="odd", text="123")
    with pytest.raises(InputError, match="odd"):
        evaluated_on(data, [odd])
    unmeasured = replace(odd, text="a", seconds=0.0)
    with pytest.raises(InputError, match="utterance odd has 0 seconds; run python -m data_prep"):
        evaluated_on(data, [unmeasured])


def test_labels_that_no_model_has_are_refused(data, evaluated, monkeypatch):
    monkeypatch.setattr(targets, "with_known_labels", lambda task, utterances: [])
    with pytest.raises(InputError, match=r"further_test=\S+: \S+: no utterance is of one of its"):
        evaluated_on(data, data.part("test"))


def test_a_classifier_of_speakers_is_refused():
    model = SimpleNamespace(kind=lambda: "classification")
    corpus = SimpleNamespace(manifest=[SimpleNamespace(label=None)])
    with pytest.raises(InputError, match="names those that it was trained on"):
        FurtherTestMeasure("x").check(SimpleNamespace(models=[model], corpus=corpus))


def test_a_window_is_extended_to_the_longest_recording(data):
    longest = max(u.seconds for u in data.manifest)
    model = SavedModel("m", 0, Path("m"))
    assert long_enough(model, data.manifest) == model
    short, long = replace(model, window=longest / 2), replace(model, window=longest + 1)
    assert long_enough(short, data.manifest).window == longest
    assert long_enough(long, data.manifest) == long


def test_overlong_transcripts_are_counted():
    row = {"part": "test", "loss": 1.0, "character_errors": 0, "characters": 9, "words": 2}
    rows = [
        {**row, "speaker": "a", "hypothesis": "a b", "word_errors": 0},
        {**row, "speaker": "b", "hypothesis": "a b " * 10, "word_errors": 18},
    ]
    found = entry("further_test", rows)["further_test"]
    assert found["wer"] == 18 / 4
    assert (found["overlong"], found["overlong_wer"]) == (1, 18 / 4)
