"""Read JSON and YAML that somebody wrote: what cannot be read is refused, by name."""

import json
from pathlib import Path
from typing import Any

import yaml

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import read_text

# A float holds whole numbers of up to 308 digits.
MOST_DIGITS = 308


def parse_json(text: str) -> Any:
    """The value that a JSON text holds.

    Raises:
        InputError: not JSON, nested too deep, or a whole number that is too large for a float.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error})") from error
    except RecursionError:
        raise InputError("not JSON that can be read: it is nested too deep") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: naming the file: not UTF-8, not JSON, or another value than an object.
    """
    try:
        content = parse_json(read_text(path))
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises:
        InputError: naming the file: not UTF-8, not YAML, a key that is given twice or is no text,
            or another value than a mapping.
    """
    text = read_text(path)
    try:
        content = yaml.load(text, Loader=_Strict)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise InputError(f"{path} is no YAML that can be read: it is nested too deep") from None
    # A date such as 2024-99-99, or a number of too many digits.
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path} is no YAML: {error}; quote what is text") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no settings; write key: value lines")
    if odd := [key for key in content if not isinstance(key, str)]:
        raise InputError(f"{path}: the key {odd[0]!r} is no text; quote it")
    return content


class _Strict(yaml.SafeLoader):
    """Refuses a key that is given twice, of which only the last would count."""

    # As written: `construct_mapping` sees what << has merged in too.
    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return node


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise InputError(f"a number of {len(digits)} digits is too large")
    return int(digits)
