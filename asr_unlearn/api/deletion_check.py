"""Check a model against its deletion record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from asr_unlearn.evaluation.deletion_record import content_digest
from asr_unlearn.evaluation.record_check import changed_figures, differences
from asr_unlearn.evaluation.record_file import NAME, path_of, report_of
from asr_unlearn.evaluation.signature import is_signed
from asr_unlearn.reporting.write import holds_figures
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.errors import InputError

UNSIGNED = (
    "signature: not checked, so this shows only that nothing has changed by accident; whoever can "
    "write these files can write the record anew (evaluate --sign, verify --verify_key)"
)
State = Literal["as recorded", "CHANGED", "gone"]


@dataclass(frozen=True)
class RecordCheck:
    """A deletion record, and what is as it says.

    Attributes:
        model: folder of the model.
        record: the content of its deletion_record.json.
        states: of each file, by its name in the record.
        figures: which figures differ when they are computed again; None if they were not.
        signed: whether the signature is that of the key; None if no key was given.
        original: folder of the model that this one was unlearned from, if it is still there.
        earlier: the check of the model that this one was unlearned from, for an earlier request;
            None where that was not unlearned, or has no record.
    """

    model: Path
    record: Mapping[str, Any]
    states: Mapping[str, State]
    figures: tuple[str, ...] | None
    signed: bool | None = None
    earlier: "RecordCheck | None" = None
    original: Path | None = None

    @property
    def changed(self) -> tuple[str, ...]:
        """The files and figures that are not as recorded; empty if all are."""
        files = (name for name, state in self.states.items() if state == "CHANGED")
        signature = () if self.signed in (None, True) else ("signature",)
        before = self.earlier.changed if self.earlier else ()
        return (*files, *(self.figures or ()), *signature, *(f"earlier {name}" for name in before))

    def __str__(self) -> str:
        lines = [f"{name}: {state}" for name, state in self.states.items()]
        if self.states.get("report") == "CHANGED":
            results = path_of(self.model, self.record, "results")
            lines.append(f"`asr-unlearn report --results {results}` writes the report anew")
        if self.figures is not None:
            lines.append("measured again: " + ("CHANGED" if self.figures else "as recorded"))
        if self.signed is None:
            lines.append(UNSIGNED)
        else:
            other = "NOT OF THIS KEY" if "signature" in self.record else "NONE"
            lines.append(f"signature: {'of this key' if self.signed else other}")
        if self.original is not None:
            lines.append(
                f"original: {self.original} is still there; whoever has both models can tell who "
                "was forgotten: delete it once nothing is to be evaluated again"
            )
        if self.earlier is not None:
            requests = (each.record["sha256"].get("request") for each in (self, self.earlier))
            before = "earlier request" if len({*requests}) > 1 else "unlearned before, same request"
            lines += [f"{before}, {self.earlier.model}:", str(self.earlier)]
        return "\n".join(lines)


def verify(
    model: Path | str,
    *,
    full: bool = False,
    device: Device = "auto",
    verify_key: Path | str | None = None,
) -> RecordCheck:
    """Check a model against its deletion record, and those of earlier requests against theirs.

    Without a signature this proves only that nothing has changed by accident.

    Args:
        model: folder with a deletion_record.json, which `evaluate` writes.
        full: compute the figures again too, unless a file has changed.
        device: auto, cpu or cuda.
        verify_key: PEM file of the Ed25519 public key of whoever signed the record. With it the
            split may be missing, as where a model was handed on.

    Returns:
        What is as recorded and what is not; `check.changed` is empty if all is.

    Raises:
        FileNotFoundError: there is no record.
        InputError: the record is damaged, or points to files that are gone.

    Examples:
        >>> from asr_unlearn import verify
        >>> verify("out/orthograd", full=True).changed
        ()
    """
    folder = Path(model)
    try:
        record, changed, gone = differences(folder, with_split=verify_key is None)
    except FileNotFoundError as error:
        # Without the name of a file it says that there is no record.
        if error.filename is None:
            raise
        raise InputError(
            f"{folder}: its record points to {error.filename}, which is gone; put it back where it "
            "was, or the model where it was recorded"
        ) from error
    states: dict[str, State] = {
        name: "CHANGED" if name in changed else "gone" if name in gone else "as recorded"
        for name in record["sha256"]
    }
    if full and (lacking := [name for name in ("manifest", "split") if name in gone]):
        raise InputError(
            f"{folder}: without the {lacking[0]} that it was recorded with, nothing can be "
            "measured again; put it back where it was"
        )
    signed = None
    if verify_key is not None:
        signed = is_signed(content_digest(record), record.get("signature"), Path(verify_key))
    # The report is made from the results, and says nothing about the model.
    again = full and not {*changed} - {"report"} and signed is not False
    figures = tuple(changed_figures(folder, record, pick_device(device))) if again else None
    # What is missing from the record has no state of its own.
    states |= dict.fromkeys(changed, "CHANGED")
    results = path_of(folder, record, "results")
    written = report_of(results)
    if not {"results", "report"} & {*changed, *gone} and written.is_file():
        states["report"] = "as recorded" if holds_figures(written, results) else "CHANGED"
    before, earlier = path_of(folder, record, "original"), None
    if (before / NAME).is_file():
        earlier = verify(before, full=full, device=device, verify_key=verify_key)
        if earlier.record["sha256"]["weights_after"] != record["sha256"]["weights_before"]:
            states["weights_before"] = "CHANGED"
    kept = before if before.is_dir() else None
    return RecordCheck(folder, record, states, figures, signed, earlier, kept)
