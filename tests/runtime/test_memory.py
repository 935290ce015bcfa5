"""The peak of a process's memory, also where the system does not let it be reset."""

from pathlib import Path

import torch

from asr_unlearn.runtime.memory import peak_memory, reset_peak_memory


def test_a_peak_that_cannot_be_reset_ends_nothing(monkeypatch):
    def read_only(self, text):
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "write_text", read_only)
    device = torch.device("cpu")
    reset_peak_memory(device)
    assert peak_memory(device) is None or peak_memory(device) > 1 << 20
