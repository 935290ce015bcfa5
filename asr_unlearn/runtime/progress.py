"""Progress bars with the time left on a terminal, and plain lines in a file."""

import sys
import threading
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

# In a file.
SECONDS_BETWEEN_LINES = 30.0
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed}, {remaining} left{postfix}"


class _Bar(tqdm):  # type: ignore[type-arg]
    """tqdm, whose arguments it takes; where standard error is no terminal it writes lines.

    A line is written at the start, every half a minute, and at the end.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._plain = not (kwargs.get("file") or sys.stderr).isatty()
        if self._plain:
            kwargs |= {"mininterval": SECONDS_BETWEEN_LINES, "maxinterval": SECONDS_BETWEEN_LINES}
            kwargs["bar_format"] = LINE
        self._written = -1.0
        super().__init__(*args, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show how far it is, or a message."""
        if not self._plain:
            super().display(msg, pos)
            return
        self._written = self.n
        self.fp.write(f"{self if msg is None else msg}\n")
        self.fp.flush()

    def close(self) -> None:
        """Show how far it came, unless it was too quick to be shown at all."""
        if not self._plain:
            super().close()
            return
        if self.disable:
            return
        self.disable = True
        shown = self.last_print_t >= self.start_t + (self.delay or 0)
        if shown and self.leave and self._written != self.n:
            self.display()


# By default tqdm makes a lock for all processes, which one that is killed leaves behind: Python
# then warns of it. No two of ours write to the same terminal.
_Bar.set_lock(threading.RLock())

if TYPE_CHECKING:
    Bar = tqdm
else:
    Bar = _Bar
