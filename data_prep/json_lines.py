"""Objects of JSON lines, one a line, with the number of the line that cannot be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.documents import parse_json
from asr_unlearn.runtime.errors import InputError


def json_lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each line that is not blank, and its object.

    Args:
        text: of the file.
        path: of the file, for messages.

    Raises:
        InputError: a line that is no JSON object.
    """
    # Not splitlines: a transcript may hold what Unicode takes for the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, {**parse_json(line)}
        except (TypeError, InputError) as error:
            raise InputError(f"{path}, line {number}: no JSON object") from error
