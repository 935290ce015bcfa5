"""How far two orders of the same arithmetic may lie apart."""

import torch


def tolerance(task, batch):
    """Returns rtol and atol for losses, logits and log-probabilities of a batch.

    A sum of n terms is rounded by n·eps of its size at most (Higham, Accuracy and Stability of
    Numerical Algorithms, 2002, section 4.2). The longest sums of a layer are over the inputs of a
    weight matrix, or over the frames in attention; a layer hands its error on to the next. What
    counts is the size of the logits, of which losses are small differences.
    """
    model = task.model
    inputs = max(p[0].numel() for p in model.parameters() if p.dim() > 1)
    frames = int(task.front_end.frames(batch.samples).max())
    layers = 1 + getattr(model.config, "num_hidden_layers", 0)
    rtol = torch.finfo(model.dtype).eps * max(inputs, frames) * layers
    with torch.no_grad():
        largest = task.logits(batch).abs().max().item()
    return {"rtol": rtol, "atol": rtol * max(largest, 1.0)}
