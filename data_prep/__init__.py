"""Corpora to manifests: `python -m data_prep.NAME --data DIR --out OUT/manifest.jsonl`."""
