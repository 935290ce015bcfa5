"""Remove the traces of the forgotten from an output folder."""

from asr_unlearn.api.purging import purge
from asr_unlearn.cli.command import Command

COMMAND = Command(purge, "asr-unlearn purge out", positional=True)
