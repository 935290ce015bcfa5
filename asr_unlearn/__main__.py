"""`python -m asr_unlearn` is the command `asr-unlearn`, and what `torchrun -m` starts."""

from asr_unlearn.cli import main

main()
