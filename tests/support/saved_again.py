"""A model that went to a folder and came back."""

import torch

from asr_unlearn.models.loading import load_model, save_model
from asr_unlearn.models.tasks import task_for


def says_the_same_when_loaded(task, batch, folder):
    """Save and load a task's model: the losses are equal to the bit, and so are the predictions.

    The loaded task and the predictions.
    """
    with torch.no_grad():
        losses, predictions, _ = task.score(batch)
    save_model(task.model, task.processor, folder)
    loaded = task_for(*load_model(str(folder)))
    loaded.model.eval()
    with torch.no_grad():
        again, same, _ = loaded.score(batch)
    assert torch.equal(losses, again)
    assert predictions == same
    return loaded, predictions
