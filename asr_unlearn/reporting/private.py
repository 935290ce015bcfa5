"""A report that names nobody, quotes nobody and shows no path."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asr_unlearn.evaluation.results import Results, models_of
from asr_unlearn.reporting.runs import Run, Runs

# Options that are paths or names of files.
PATHS = ("model", "reference_model", "method")


def without_names(results: Results, runs: Runs) -> tuple[Results, Runs]:
    """The results and runs with numbers in place of names, without transcripts and paths."""
    split = results.record["split"]
    speakers = [*split["forget_speakers"]]
    speakers += [row.speaker for run in runs.values() for row in run.predictions]
    numbers = _numbered("speaker", speakers)
    labels = _numbered(
        "class",
        [
            *split.get("forget_labels", ()),
            *(
                label
                for model in results.record["models"]
                for label in model.get("confusion", {}).get("labels", ())
            ),
        ],
    )
    record = {
        **results.record,
        "command": "",
        "split": {
            **split,
            "forget_speakers": [numbers[name] for name in split["forget_speakers"]],
            **(
                {"forget_labels": [labels[name] for name in split["forget_labels"]]}
                if split.get("forget_labels")
                else {}
            ),
        },
        "models": [_model(model, labels) for model in results.record["models"]],
    }
    hidden = Results(results.path, record, models_of(record, results.path.parent))
    return hidden, {key: _run(run, numbers) for key, run in runs.items()}


def _numbered(word: str, names: list[str]) -> dict[str, str]:
    return {name: f"{word} {number}" for number, name in enumerate(dict.fromkeys(names), start=1)}


def _model(model: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """An entry of results.json without paths in its options, and without names of classes."""
    found = dict(model)
    if "options" in found:
        found["options"] = _plain(found["options"])
    if "confusion" in found:
        confusion = found["confusion"]
        names = [labels[label] for label in confusion["labels"]]
        found["confusion"] = {**confusion, "labels": names}
    return found


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in options.items()
        if name not in PATHS and not (isinstance(value, str) and "/" in value)
    }


def _run(run: Run, numbers: Mapping[str, str]) -> Run:
    """A run with losses and counts of numbered utterances, and the hashes of its record."""
    predictions = [
        replace(row, id=str(i), speaker=numbers[row.speaker], reference=None, hypothesis=None)
        for i, row in enumerate(run.predictions)
    ]
    kept = ("unlearned", "stopped", "forgotten", "sha256")
    record = run.record and {
        "command": "",
        **{name: run.record[name] for name in kept if name in run.record},
    }
    return replace(run, predictions=predictions, settings={}, missing=(), record=record)
