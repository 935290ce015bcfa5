"""Learning rates of methods that can have one."""

from asr_unlearn.methods import METHODS
from asr_unlearn.methods.option_types import ranges


def rate(name, value):
    """The option `lr` with this value; nothing for a method that cannot have a learning rate."""
    return {"lr": value} if value in ranges(METHODS[name])["lr"] else {}
