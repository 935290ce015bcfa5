"""An attack unlearns other speakers as a model was, from what its run.json records."""

from dataclasses import fields, replace
from types import SimpleNamespace

import pytest

from asr_unlearn.models.adapters import Lora
from asr_unlearn.models.tasks.compute import Compute
from asr_unlearn.training.trained_weights import TrainedWeights
from asr_unlearn.training.unlearn_setup import UnlearnSetup

DEFAULT = UnlearnSetup(window=5.0)
CHANGES = {
    "trained": TrainedWeights(front_end=True, encoder=False, lora=Lora(r=4)),
    "compute": Compute(precision="bf16", max_seconds=60.0),
    "window": "full",
    "spelling": "lower",
    "protect_earlier": False,
}


def recorded(setup):
    """The options in run.json, of a later request."""
    task = SimpleNamespace(front_end_is_frozen=not setup.trained.front_end)
    window = setup.window if isinstance(setup.window, float) else None
    return setup.recorded(task, window, later=True)


def test_every_field_is_compared():
    # An attacked model is always whole.
    assert {f.name for f in fields(UnlearnSetup)} == {*CHANGES, "merge"}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_recorded_gives_the_same_setup(name):
    assert UnlearnSetup.of(recorded(DEFAULT)) == DEFAULT
    changed = replace(DEFAULT, **{name: CHANGES[name]})
    assert changed != DEFAULT
    assert UnlearnSetup.of(recorded(changed)) == changed


def test_what_is_seldom_given_is_recorded_only_where_it_was():
    assert recorded(DEFAULT).keys() == {"front_end_frozen", "window"}
    assert recorded(replace(DEFAULT, merge=False))["merge"] is False
