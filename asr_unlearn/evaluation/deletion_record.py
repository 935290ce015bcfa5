"""The deletion record: which request was unlearned from which model, to what effect.

It holds hashes instead of names: the forget list stays with whoever made the request. Its own
digest binds the hashes of all files to what it says; a signature of that digest shows who says so.
"""

import hashlib
import hmac
import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asr_unlearn.data.split import Split
from asr_unlearn.data.split_file import read_split
from asr_unlearn.evaluation.record_file import NAME, PATHS, SCHEMA, linked, read_record
from asr_unlearn.evaluation.signature import sign
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.io import digest, digest_of, write_json
from asr_unlearn.runtime.provenance import versions

logger = logging.getLogger(__name__)

FIGURES = (
    *("wer", "cer", "accuracy", "loss", "ci95", "membership", "relearning", "speaker_id"),
    *("gap_to_retrained", "quantisation", "speaker_membership"),
)


def write_records(
    results: Path, manifest: Path, split: Path, key: Any = None
) -> tuple[list[Path], list[Path]]:
    """Write the record of every unlearned model of an evaluation into its folder.

    Models that were trained, or made elsewhere, get none. A record that is signed is kept where
    there is no key.

    Args:
        results: results.json of the evaluation, which the paths in it are relative to.
        key: of `signature.signing_key`, to sign the records with.

    Returns:
        The paths of the records, and the folders of models that were unlearned for another request
        than this split's, which get no record.
    """
    written, others = [], []
    request = read_split(split, manifest)
    content = json.loads(results.read_text(encoding="utf-8"))
    for entry in content["models"]:
        folder = results.parent / entry["path"]
        model = SavedModel.at(folder)
        run = model.run()
        if run.get("kind") != "unlearn":
            continue
        if not model.unlearned_for(request):
            others.append(folder)
            continue
        if key is None and _is_signed(folder / NAME):
            logger.warning(
                "%s is signed, and stays as it is; give --sign KEY for one of this evaluation",
                folder / NAME,
            )
            continue
        if not os.access(folder, os.W_OK):
            logger.warning(
                "%s is read-only, so it gets no deletion record; evaluate a writable copy", folder
            )
            continue
        paths = dict(zip(PATHS, (manifest, split, model.original(), results), strict=True))
        record = {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **statement(run, request),
            "versions": {"unlearned": run["versions"], "recorded": versions()},
            "figures": figures_of(entry),
            "beams": content["beams"],
            **({"window": content["window"]} if "window" in content else {}),
            "paths": {
                name: os.path.relpath(linked(path), linked(folder)) for name, path in paths.items()
            },
            # The original as it was when the run began, not as it is now.
            "sha256": {
                **hashes(folder, manifest, split, request, results),
                "weights_before": run["original"]["sha256"],
            },
        }
        # Only what was measured now is signed.
        if key is None:
            _keep_figures(folder / NAME, record)
        record["digest"] = content_digest(record)
        if key is not None:
            record["signature"] = sign(record["digest"], key)
        write_json(folder / NAME, record)
        written.append(folder / NAME)
    return written, others


def statement(run: Mapping[str, Any], request: Split | None) -> dict[str, Any]:
    """What a record says of the run, and of the size of the request if that is there."""
    said = {
        "unlearned": run.get("created"),
        "command": run.get("command"),
        "method": run.get("name"),
        "options": run.get("options"),
        "stopped": run.get("stopped"),
    }
    if request is None:
        return said
    size = {
        "speakers": len(request.forget_speakers),
        "labels": len(request.forget_labels),
        "utterances": len(request.parts["forget"]),
    }
    return {**said, "forgotten": size}


def figures_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a record has of a model's entry in results.json."""
    return {name: entry[name] for name in FIGURES if name in entry}


def content_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record without its digest and signature: what is signed."""
    return digest_of({k: v for k, v in record.items() if k not in ("digest", "signature")})


def hashes(
    folder: Path, manifest: Path, split: Path, request: Split | None, results: Path
) -> dict[str, Any]:
    """Return the SHA-256 of everything recorded but the original; None for files that are gone.

    The forget list is its sorted speaker ids or labels, one a line, hashed with the split's salt as
    the key (HMAC): without the split nobody can try names. A split of an earlier version has no
    salt, and its forget list is left out. Results without this model count as gone.
    """
    model = SavedModel.at(folder)
    return {
        "forget_list": request and _forget_list(request),
        "request": request and request.digest,
        "manifest": digest(manifest) if manifest.exists() else None,
        "split": digest(split) if request else None,
        "run": digest(folder / "run.json"),
        "weights_after": model.weights() or None,
        "settings_after": model.settings() or None,
        "results": digest(results) if entry_of(folder, results) is not None else None,
    }


def _forget_list(request: Split) -> str | None:
    names = sorted([*request.forget_speakers, *request.forget_labels])
    listed = "".join(f"{name}\n" for name in names).encode()
    salt = request.salt.encode()
    return hmac.new(salt, listed, hashlib.sha256).hexdigest() if salt else None


def entry_of(folder: Path, results: Path) -> Mapping[str, Any] | None:
    """The entry of a model in a results.json; empty if the file is damaged, None without one."""
    if not results.exists():
        return None
    try:
        content = json.loads(results.read_text(encoding="utf-8"))
        entries = {os.path.realpath(results.parent / e["path"]): e for e in content["models"]}
    except (ValueError, TypeError, KeyError):
        return {}
    found: Mapping[str, Any] | None = entries.get(os.path.realpath(folder))
    return found


def _is_signed(path: Path) -> bool:
    """Whether there is a record with a signature, whosever it is."""
    try:
        return "signature" in read_record(path)
    except (FileNotFoundError, ValueError):
        return False


def _keep_figures(path: Path, record: dict[str, Any]) -> None:
    """Keep figures that an earlier evaluation of the same model has and this one has not."""
    try:
        before = read_record(path)
    except (FileNotFoundError, ValueError):
        # There is no earlier record, or it is damaged.
        return
    same = {**before, "sha256": {**before["sha256"], "results": record["sha256"]["results"]}}
    if before.get("digest") != content_digest(before):
        return
    if any(same.get(name) != record.get(name) for name in ("sha256", "beams", "window")):
        return
    for name, found in before["figures"].items():
        record["figures"][name] = found | record["figures"].get(name, {})
