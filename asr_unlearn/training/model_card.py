"""The model card of a published folder, README.md: what the model was made from, and how."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from yaml import YAMLError

from asr_unlearn.models.supported import TaskName
from asr_unlearn.training.clock import Cost

CARD = "README.md"
PIPELINES: dict[TaskName, str] = {
    "ctc": "automatic-speech-recognition",
    "seq2seq": "automatic-speech-recognition",
    "classification": "audio-classification",
}
TEXT = """---
{data}
---

# {name}

{about}

| | |
|---|---|
{rows}

```bash
{command}
```

`run.json` has all options, versions and digests.{record}
"""
UNLEARNED = (
    "Made by asr_unlearn from a model that was trained on speakers who are to be forgotten. How "
    "near it is to a model that was never trained on them is measured by `asr-unlearn evaluate`."
)
TRAINED = "Trained by asr_unlearn on the parts {parts} of a corpus."
RECORD = (
    " `deletion_record.json` binds them to the request and to the figures, once the model is "
    "evaluated."
)


def inherited(source: str | Path) -> dict[str, Any]:
    """Licence and base of a model, for the card of one that is made from it.

    Args:
        source: folder of the model, whose card is read, or its name on the Hub.
    """
    card = Path(source) / CARD
    if not Path(source).is_dir():
        return {"base_model": str(source)} if str(source).count("/") == 1 else {}
    try:
        data = ModelCard.load(card).data if card.is_file() else None
    # A card that somebody wrote by hand may be anything.
    except (ValueError, YAMLError, OSError):
        data = None
    found = {name: getattr(data, name, None) for name in ("license", "base_model")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def model_card(record: Mapping[str, Any], task: TaskName, source: str | Path) -> str:
    """The content of README.md.

    It holds no name of a speaker, no transcript and no path but those of the command.

    Args:
        record: run.json of the model.
        task: of the model.
        source: folder or name of the model that it was made from.
    """
    unlearned = record["kind"] == "unlearn"
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=PIPELINES[task],
        tags=["asr_unlearn", *(["machine-unlearning"] if unlearned else [])],
        **inherited(source),
    )
    about = UNLEARNED if unlearned else TRAINED.format(parts=", ".join(record["options"]["parts"]))
    rows = "\n".join(f"| {name} | {value} |" for name, value in _rows(record).items())
    return TEXT.format(
        data=data.to_yaml(),
        name=record["name"],
        about=about,
        rows=rows.replace("_", "\\_"),
        command=record["command"],
        record=RECORD if unlearned else "",
    )


def _rows(record: Mapping[str, Any]) -> dict[str, str]:
    total = sum((Cost(**cost) for cost in record["costs"].values()), Cost())
    rows = {"steps": str(record["steps"]), "ended": str(record["stopped"])}
    if record["kind"] == "unlearn":
        rows = {"method": str(record["options"]["method"])} | rows
        rows["request"] = f"SHA-256 {record['request']}"
        rows |= _digests("made from", record["original"])
    rows |= _digests("adapters for", record.get("base", {}))
    if kept := record.get("kept"):
        before, after = (kept[when]["loss"] for when in ("before", "after"))
        rows[f"loss on {kept['utterances']} retain utterances"] = f"{before:.3f} → {after:.3f}"
    rows["cost"] = f"{record['seconds']:.0f} s, {total.passes} utterance passes"
    if record.get("warning"):
        rows["**warning**"] = str(record["warning"])
    return rows


def _digests(what: str, source: Mapping[str, Any]) -> dict[str, str]:
    return {f"{what} {name}": f"SHA-256 {sha}" for name, sha in source.get("sha256", {}).items()}
