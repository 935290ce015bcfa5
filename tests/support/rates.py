"""Learning rates of methods that have one."""

from asr_unlearn.methods import METHODS


def rate(name, value):
    """The option `lr` with this value; nothing for a method that has no learning rate."""
    return {} if METHODS[name].lr == "auto" else {"lr": value}
