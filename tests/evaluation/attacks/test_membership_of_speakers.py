"""Attacks on speakers: of requests that name speakers, from the scores of the utterances."""

import pytest

from asr_unlearn.evaluation.attacks.membership import Attackers, membership
from asr_unlearn.models.saved_model import SavedModel


def row(part, speaker, number, loss):
    return {
        "id": f"{speaker}-{number}", "part": part, "speaker": speaker, "seconds": 2.0 + number,
        "characters": 10 + number, "word_errors": 0, "words": 3, "loss": loss,
        "confidence": 0.9, "entropy": 0.2,
    }  # fmt: skip


@pytest.fixture
def rows():
    """Three speakers of low losses to forget, and three unseen ones."""
    return [
        row(part, f"{part}{speaker}", number, base + 0.1 * number)
        for part, base in (("forget", 0.1), ("unseen", 2.0))
        for speaker in range(3)
        for number in range(4)
    ]


def test_speakers_of_low_losses_are_members(rows, tmp_path):
    attackers = Attackers({}, [], {}, forgets_classes=False, forgets_speakers=True)
    found = membership(SavedModel("a", 0, tmp_path), rows, attackers).speakers
    assert (found["members"], found["others"]) == (3, 3)
    assert (found["loss_auc"], found["loss_p"]) == (1.0, 1 / 20)


def test_requests_for_labels_have_no_attack_on_speakers(rows, tmp_path):
    attackers = Attackers({}, [], {}, forgets_classes=False, forgets_speakers=False)
    found = membership(SavedModel("a", 0, tmp_path), rows, attackers)
    assert found.figures["loss_auc"] == 1.0
    assert found.speakers == {}
