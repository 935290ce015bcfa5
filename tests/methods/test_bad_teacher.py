"""Bad teaching: one teacher for each part."""

import numpy as np
import torch

from asr_unlearn.methods.distillation import untrained
from tests.support.toy_task import close, context, direction, prepared, softmax, step


def test_bad_teacher_has_an_untrained_teacher_on_the_forget_set():
    given = context()
    method = prepared("bad_teacher", given, alpha=0.25)
    bad = untrained(given.task, given.seed).model.weight.detach().numpy()
    original = given.model.weight.detach().numpy().copy()
    assert np.abs(bad - original).max() > 0.1
    with torch.no_grad():
        given.model.weight.mul_(1.5)
    expected = 0
    for part, teacher, share in (("forget", bad, 0.75), ("retain", original, 0.25)):
        x = given.sources[part][0].inputs.numpy()
        p, q = softmax(x @ given.model.weight.detach().numpy().T), softmax(x @ teacher.T)
        expected = expected + share * ((p - q)[:, :, None] * x[:, None, :]).mean(0)
    close(direction(method, step(given)), expected)
