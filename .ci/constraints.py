"""Writes what is installed to a constraints file, and prints what that changes in it.

python .ci/constraints.py constraints.txt
"""

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

HEADING = "# Made by `make constraints`: the versions that the Makefile installs.\n"
# pip is pinned by the Makefile, and the package is installed from the checkout.
LEFT_OUT = ("pip", "asr-unlearn")


def installed() -> dict[str, str]:
    """Versions by normalised name, without local suffixes such as +cu130."""
    found = {
        re.sub(r"[-_.]+", "-", distribution.name).lower(): distribution.version.partition("+")[0]
        for distribution in distributions()
    }
    return {name: found[name] for name in sorted(found) if name not in LEFT_OUT}


def read(path: Path) -> dict[str, str]:
    """Versions by name of a constraints file; none where there is no file yet."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """A line for each package that was added, removed or changed."""
    lines = []
    for name in sorted(before.keys() | now.keys()):
        if name not in before:
            lines.append(f"added    {name} {now[name]}")
        elif name not in now:
            lines.append(f"removed  {name} {before[name]}")
        elif before[name] != now[name]:
            lines.append(f"changed  {name} {before[name]} -> {now[name]}")
    return lines


if __name__ == "__main__":
    path = Path(sys.argv[1])
    before, now = read(path), installed()
    path.write_text(
        HEADING + "".join(f"{name}=={version}\n" for name, version in now.items()),
        encoding="utf-8",
    )
    print("\n".join(changes(before, now)) or "nothing has changed")
