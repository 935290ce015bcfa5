"""Models: loading, checks, tasks, front ends, inference."""

from asr_unlearn.runtime.torchaudio_check import check_torchaudio

# Before transformers imports it, and hides why it cannot.
check_torchaudio()
