"""Make a model forget the speakers of the split's forget part."""

import sys

from asr_unlearn.api.unlearning import PublishedModel, unlearn_folder
from asr_unlearn.cli.command import Command, print_once


def show(result: PublishedModel) -> None:
    """Print how the run went, and its warning."""
    print_once(result)
    if result.outcome.warning:
        print_once(f"{result.folder}: WARNING: {result.outcome.warning}", sys.stderr)


COMMAND = Command(
    unlearn_folder,
    "asr-unlearn unlearn --manifest out/manifest.jsonl --split out/split.json "
    "--model out/original --method orthograd --method.alpha 0.3 --out out/orthograd",
    show,
    in_several_processes=True,
)
