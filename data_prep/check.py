"""Check a manifest: measure its recordings, and leave out what cannot be used."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.data.manifest import Utterance, read_manifest
from data_prep.prepare import checking_line, prepare


def written(options: argparse.Namespace) -> list[Utterance]:
    """The utterances of the manifest."""
    return read_manifest(options.manifest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the usable utterances of a manifest, with measured seconds and digests."""
    parser = checking_line("check", __doc__ or "", "manifest.jsonl --out checked.jsonl")
    parser.add_argument("manifest", type=Path, help="JSON lines; any seconds will do, such as 0")
    return prepare(parser, arguments, written)


if __name__ == "__main__":
    sys.exit(main())
