"""Weights are saved once each, checkpoints are complete, and what does not fit is refused."""

import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from asr_unlearn.training.checkpoint import (
    DIGESTS,
    STATE,
    WEIGHTS,
    checkpoints,
    damage,
    load_weights,
    read_weights,
    save_checkpoint,
    save_weights,
)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight


def test_shared_weights_are_saved_once_and_stay_shared(tmp_path):
    model, other = Tied(), Tied()
    save_weights(model, tmp_path / "w.safetensors")
    assert len(load_file(tmp_path / "w.safetensors")) == 1
    load_weights(other, tmp_path / "w.safetensors")
    assert other.head.weight is other.embedding.weight
    assert torch.equal(other.head.weight, model.head.weight)
    (saved,) = read_weights(tmp_path / "w.safetensors", torch.device("cpu")).values()
    assert torch.equal(saved, model.head.weight)


@pytest.mark.parametrize(("saved", "loading"), [((2, 2), (2, 2, 2)), ((2, 2, 2), (2, 2))])
def test_weights_that_do_not_fit_are_refused(saved, loading, tmp_path):
    def layers(sizes):
        return nn.Sequential(*(nn.Linear(a, 2) for a in sizes))

    save_weights(layers(saved), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"does not fit the model: .*2\.weight"):
        load_weights(layers(loading), tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", [WEIGHTS, STATE, DIGESTS])
def test_a_kill_while_an_older_checkpoint_is_deleted_leaves_no_damaged_one(
    name, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    unlink = os.unlink

    def unlink_until_killed(path, **kwargs):
        if path == name:
            raise Killed
        unlink(path, **kwargs)

    save_checkpoint(tmp_path, nn.Linear(2, 2), {"step": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink_until_killed)
        with pytest.raises(Killed):
            save_checkpoint(tmp_path, nn.Linear(2, 2), {"step": 2})
    assert [(path.name, damage(path)) for path in checkpoints(tmp_path)] == [
        ("checkpoint-000000002", None)
    ]
    save_checkpoint(tmp_path, nn.Linear(2, 2), {"step": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000003"]
