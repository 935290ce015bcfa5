"""The methods by name: every `Method` in a file of this folder, found by looking."""

import importlib
import inspect
import pkgutil

from asr_unlearn.methods.course import Batched, Course, Part, Step
from asr_unlearn.methods.method import Direction, Method


def _found() -> dict[str, type[Method]]:
    methods: dict[str, type[Method]] = {}
    for file in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{file.name}")
        for found in filter(inspect.isclass, vars(module).values()):
            if issubclass(found, Method) and not inspect.isabstract(found):
                methods[found.name] = found
    return dict(sorted(methods.items()))


METHODS = _found()

__all__ = ["METHODS", "Batched", "Course", "Direction", "Method", "Part", "Step"]
