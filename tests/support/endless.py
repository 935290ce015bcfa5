"""Jobs for other processes, in a module that is quick to import there."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asr_unlearn.runtime import program
from asr_unlearn.runtime.processes import working


@dataclass(frozen=True)
class Endless:
    """Writes its process id, and works until a signal comes; then it saves, which takes time."""

    folder: Path
    number: int

    def __call__(self) -> None:
        (self.folder / f"{self.number}.pid").write_text(str(os.getpid()))
        try:
            while True:
                time.sleep(0.01)
        except KeyboardInterrupt:
            time.sleep(0.2)
            (self.folder / f"{self.number}.saved").touch()
            raise


def killed() -> None:
    """As the system does it when there is no more memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def work(folder: Path) -> None:
    with working(2, [Endless(folder, number) for number in range(2)]) as futures:
        for future in futures:
            future.result()


def main() -> None:
    sys.exit(program.run_program("endless", partial(work, Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
