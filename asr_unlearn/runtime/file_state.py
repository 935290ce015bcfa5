"""What a file's content was, to notice later that it has changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from asr_unlearn.runtime.io import digest

# Bytes of a file that takes no time to read.
SMALL = 1 << 24


@dataclass(frozen=True)
class FileState:
    """Size in bytes, time of the last change in ns, and SHA-256 of a file."""

    size: int
    time: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """The state of the file now."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, digest(path))

    @classmethod
    def read(cls, stored: Any) -> Self | None:
        """What JSON has of a state; None for anything else."""
        try:
            return cls(int(stored["size"]), int(stored["time"]), str(stored["sha256"]))
        except (KeyError, TypeError, ValueError):
            return None

    def untouched(self, path: Path) -> bool:
        """Whether the file has the same size and time, which says the same of its content."""
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.time)

    def fits(self, path: Path) -> bool:
        """Whether the file still has this content.

        A large file that was not touched is not read; a copy has another time, and is.
        """
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if self.size > SMALL and self.untouched(path):
            return True
        return digest(path) == self.sha256
