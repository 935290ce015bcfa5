"""`python -m asr_unlearn` is the command `asr-unlearn`, and what `torchrun -m` starts."""

from asr_unlearn.runtime import signals

signals.end_at_once("asr-unlearn")

from asr_unlearn.runtime.program import spare_waiting_threads  # noqa: E402


def main() -> None:
    """Run one command."""
    spare_waiting_threads()
    from asr_unlearn.cli.main import main as run_command

    run_command()


if __name__ == "__main__":
    main()
