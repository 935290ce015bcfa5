"""List the methods with their papers, the data they need, and their options."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rich.console import Console

from asr_unlearn.cli.command import Command
from asr_unlearn.cli.tables import methods_listing
from asr_unlearn.methods import METHODS, Method

Methods = Mapping[str, type[Method]]


def list_methods() -> Methods:
    """List the methods with their papers, the data they need, and their options."""
    return METHODS


def show(methods: Methods) -> None:
    """Print the methods."""
    Console().print(methods_listing(methods), highlight=False)


def as_json(methods: Methods) -> dict[str, Any]:
    """Each method's paper, data, and options with their defaults."""
    return {
        name: {
            "paper": method.paper,
            "needs": method.needs,
            "options": {field.name: field.default for field in fields(method)},
        }
        for name, method in methods.items()
    }


COMMAND = Command(list_methods, "asr-unlearn methods", show, as_json)
