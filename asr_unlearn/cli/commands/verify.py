"""Check a model against its deletion record, and those of earlier requests against theirs."""

from dataclasses import fields
from typing import Any

from asr_unlearn.api.deletion_check import RecordCheck, verify
from asr_unlearn.cli.command import Command
from asr_unlearn.runtime.errors import InputError


def as_json(check: RecordCheck) -> dict[str, Any]:
    """What was checked, what has changed, and the same of the request before."""
    found = {field.name: getattr(check, field.name) for field in fields(check)}
    earlier = as_json(check.earlier) if check.earlier else None
    return {**found, "changed": check.changed, "earlier": earlier}


def check_unchanged(check: RecordCheck) -> None:
    """Raises InputError where something is not as recorded."""
    if check.changed:
        created = check.record["created"]
        raise InputError(
            f"{check.model} is not as recorded on {created}: {'; '.join(check.changed)}"
        )


COMMAND = Command(
    verify,
    "asr-unlearn verify --model out/orthograd_tau --full true",
    json=as_json,
    check=check_unchanged,
)
