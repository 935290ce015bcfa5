"""The methods by name: every `Method` in a file of this folder, found by looking."""

import importlib
import pkgutil

from asr_unlearn.methods.method import Batches, Direction, Method, Part


def _found() -> dict[str, type[Method]]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {method.name: method for method in sorted(Method.__subclasses__(), key=lambda m: m.name)}


METHODS = _found()

__all__ = ["METHODS", "Batches", "Direction", "Method", "Part"]
