"""The names that corpora give their subsets."""

import re

from asr_unlearn.data.manifest import SUBSETS

# What the manifest calls a subset of that name.
CALLED = {
    **{name: name for name in SUBSETS},
    **{"training": "train", "development": "dev", "testing": "test"},
    **{"val": "dev", "valid": "dev", "validation": "dev"},
}


def subset_called(name: str) -> str | None:
    """The subset of a name such as train-clean-100, test_other or validation; None for others."""
    return CALLED.get(re.split(r"[^a-z]", name.lower())[0])
