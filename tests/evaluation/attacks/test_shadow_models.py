"""Shadow models: who is in them, and that they are trained as the original was."""

from dataclasses import fields

import pytest

from asr_unlearn.data.split import OF_EVERY_SPLIT
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.membership import Attackers
from asr_unlearn.evaluation.attacks.shadows import shadow_corpus
from asr_unlearn.models.adapters import Lora
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.compute import Compute
from asr_unlearn.models.tasks.from_scratch import TrainingAids
from asr_unlearn.training.setup import Setup
from tests.support.attacked_models import CPU, run_of


def test_shadows_are_trained_as_the_original_was(data, evaluated):
    options = run_of(data.cache / "original")["options"]
    runs = [run_of(data.cache / "shadows" / str(number)) for number in range(2)]
    assert [run["options"] for run in runs] == [options, options]
    assert runs[0]["seed"] != runs[1]["seed"]


def test_what_was_recorded_of_a_training_is_all_that_was_set():
    aids = TrainingAids(ctc=0.3, joined=0.5)
    odd = Setup(
        task="seq2seq",
        language="german",
        filterbank=True,
        augmented=True,
        speeds=(0.9, 1.0),
        crop_seconds=1.5,
        front_end_frozen=True,
        aids=aids,
        window=12.0,
        spelling="lower",
        lora=Lora(r=4, targets="q_proj"),
        compute=Compute(precision="bf16"),
        gradient_checkpointing=True,
    )
    plain = Setup(task="ctc", front_end_frozen=False, window=None)
    assert all(getattr(odd, f.name) != getattr(Setup(), f.name) for f in fields(Setup))
    for setup in (odd, plain):
        assert Setup.of({"lr": 1e-3, "parts": ["retain"], **setup.recorded()}) == setup


def test_every_speaker_is_in_half_of_the_shadows(data):
    targets = {"s0", "s1", *data.split.unseen_speakers}
    pairs = [(shadow_corpus(data, k).split, shadow_corpus(data, k + 1).split) for k in (0, 2, 4)]
    for one, other in pairs:
        assert set(one.forget_speakers) == set(other.unseen_speakers)
        assert set(one.forget_speakers) | set(one.unseen_speakers) == targets
        for split in (one, other):
            assert split.parts["retain"] == data.split.parts["retain"]
            assert set(split.parts) == set(OF_EVERY_SPLIT)
            known = [u for u in data.manifest if u.id in split.parts["forget"]]
            assert {u.speaker for u in known} == set(split.forget_speakers)
            heldout = data.split.parts["forget_heldout"]
            assert not set(heldout) & {i for ids in split.parts.values() for i in ids}


def test_shadows_need_an_original_that_was_trained(data, evaluated):
    models = [SavedModel("original", 0, data.cache / "forgotten")]
    with pytest.raises(ValueError, match=r"has no run\.json of `asr-unlearn train`"):
        Attackers.of(models, data, data.cache, AttackBudget(shadows=2), device=CPU)
