"""What two models tell together: whose losses have risen."""

from types import SimpleNamespace

import pytest

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import Split
from asr_unlearn.evaluation.measures.update_leakage import UpdateLeakageMeasure, leakage
from asr_unlearn.runtime.errors import InputError
from tests.support.attacked_models import measured

OTHER = {"seconds": 1.0, "characters": 3, "words": 1, "word_errors": 0, "reference": "a"}
OTHER |= {"confidence": 1.0, "entropy": 0.0}


def rows(losses):
    """Rows of two forget and three retain speakers, two utterances each."""
    speakers = ["f0", "f1", "r0", "r1", "r2"]
    return [
        {**OTHER, "id": f"{speaker}-{i}", "speaker": speaker, "loss": loss,
         "part": "forget" if speaker.startswith("f") else "retain"}
        for i in range(2)
        for speaker, loss in zip(speakers, losses, strict=True)
    ]  # fmt: skip


def test_the_rise_counts_and_not_the_loss():
    """Retained speakers are harder here, and the forgotten ones alone have risen."""
    before = rows([0.1, 0.2, 5.0, 6.0, 7.0])
    found = leakage("update_leakage", before, rows([0.6, 0.7, 5.1, 6.1, 7.1]))
    assert found["update_leakage"] == {"auc": 1.0, "speaker_auc": 1.0, "speaker_p": 1 / 10}
    assert found["ci95"] == {}  # of so few speakers
    same = leakage("update_leakage", before, before)["update_leakage"]
    assert (same["auc"], same["speaker_auc"], same["speaker_p"]) == (0.5, 0.5, 1.0)


def test_it_needs_somebody_retained(tmp_path):
    corpus = Corpus([], Split(0, ("a",), (), {"forget": ()}), tmp_path)
    with pytest.raises(InputError, match="this split has no retain part"):
        UpdateLeakageMeasure().check(SimpleNamespace(corpus=corpus))


def test_from_the_command_line_every_model_but_the_original_has_it(data, evaluated):
    found = measured(data, "update_leakage")
    assert "update_leakage" not in found["original"]
    assert {"auc", "speaker_auc"} <= found["retrained"]["update_leakage"].keys()
    assert {"auc", "speaker_auc"} <= found["forgotten"]["update_leakage"].keys()
