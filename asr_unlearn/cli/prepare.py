"""`asr-unlearn prepare`: the programs of `data_prep`, by the name of their corpus or format."""

import ast
import importlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.text import did_you_mean

NAME = "prepare"
SUMMARY = "Write the manifest of a corpus; without a name, list the corpora and formats."


def programs() -> Mapping[str, str]:
    """The corpora and formats by name, with a sentence on each."""
    found = find_spec("data_prep")
    folders = found.submodule_search_locations if found else None
    paths = [path for folder in folders or () for path in sorted(Path(folder).glob("*.py"))]
    described = {}
    for path in paths:
        # Not imported: some need packages that others do not.
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
            described[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return described


def prepare(arguments: Sequence[str]) -> int:
    """Run the program that the first argument names with the others; its exit status.

    Raises:
        InputError: there is no such program.
    """
    known = programs()
    name, *rest = arguments or ("--help",)
    if name in ("-h", "--help"):
        width = max(map(len, known))
        print(f"usage: asr-unlearn {NAME} NAME --data DATA --out manifest.jsonl\n\n{SUMMARY}\n")
        print("\n".join(f"  {name:<{width}}  {about}" for name, about in known.items()))
        print(f"\nasr-unlearn {NAME} NAME --help lists the flags of one")
        return 0
    if name not in known:
        raise InputError(
            f"{NAME}: no corpus or format {name!r}{did_you_mean(name, list(known))}; "
            f"there are {', '.join(known)}"
        )
    status: int = importlib.import_module(f"data_prep.{name}").main(rest)
    return status
