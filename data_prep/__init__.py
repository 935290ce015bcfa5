"""Corpora to manifests: `python -m data_prep.NAME --data DIR --out OUT/manifest.jsonl`."""

import sys

from asr_unlearn.runtime import signals

# So Python calls a program that `python -m` is about to run, while it imports the package.
if sys.argv[:1] == ["-m"]:
    signals.end_at_once("data_prep")
