"""Finds the named classes of a package, so that a new file in it needs no list."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def named_classes(package: str, folder: Path, base: type[T]) -> dict[str, type[T]]:
    """The subclasses of `base` in a package's modules that have a `name` of their own, by it."""
    classes: dict[str, type[T]] = {}
    for file in pkgutil.iter_modules([str(folder)]):
        module = importlib.import_module(f"{package}.{file.name}")
        for found in filter(inspect.isclass, vars(module).values()):
            if issubclass(found, base) and "name" in vars(found):
                classes[vars(found)["name"]] = found
    return dict(sorted(classes.items()))
