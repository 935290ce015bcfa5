"""`python -m asr_unlearn` is the command `asr-unlearn`, and what `torchrun -m` starts."""

from asr_unlearn.runtime.torchaudio_check import end_without_torchaudio


def main() -> None:
    """Carry out one command, once torchaudio is known to load."""
    end_without_torchaudio("asr-unlearn")
    from asr_unlearn.cli import main

    main.main()


if __name__ == "__main__":
    main()
