"""From saved models to results.json: the only road to a number."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from asr_unlearn.files import write_aside
from asr_unlearn.inputs import Inputs
from asr_unlearn.manifest import Utterance
from asr_unlearn.metrics.divergence import earth_mover
from asr_unlearn.metrics.membership import Observation, loss_attack
from asr_unlearn.metrics.summary import gap
from asr_unlearn.metrics.wer import Errors, rate, speaker_interval
from asr_unlearn.models import load_model
from asr_unlearn.run import digest, digest_of, invocation, versions
from asr_unlearn.scoring import Score, score
from asr_unlearn.split import PARTS, Split
from asr_unlearn.tasks import task_for

Row = dict[str, Any]


@dataclass(frozen=True)
class SavedModel:
    """A published model folder and the name it goes by in the report."""

    name: str
    seed: int
    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "SavedModel":
        """Named by its folder, with the seed its run.json tells."""
        model = cls(folder.name, 0, folder)
        return replace(model, seed=model.run().get("seed", 0))

    def run(self) -> dict[str, Any]:
        """Its run.json; empty for a model made elsewhere."""
        path = self.folder / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def row(part: str, scored: Score) -> Row:
    """One line of utterances.jsonl."""
    utterance = scored.utterance
    words, characters = scored.errors("word"), scored.errors("character")
    return {
        "id": utterance.id,
        "part": part,
        "speaker": utterance.speaker,
        "seconds": utterance.seconds,
        "reference": scored.reference,
        "hypothesis": scored.hypothesis,
        "loss": scored.loss,
        "word_errors": words.errors,
        "words": words.length,
        "character_errors": characters.errors,
        "characters": characters.length,
    }


def transcribe(
    saved: SavedModel,
    manifest: Sequence[Utterance],
    split: Split,
    *,
    device: torch.device,
    batch_size: int = 16,
    beams: int = 1,
) -> list[Row]:
    """Loss and transcript of every utterance of the split, by the model as it was saved.

    They stand in utterances.jsonl in the model's folder, and are taken from there as long as
    neither the weights nor the split nor the transcripts have changed.
    """
    target = saved.folder / "utterances.jsonl"
    stamp = saved.folder / "utterances.stamp"
    weights = {p.name: digest(p) for p in sorted(saved.folder.glob("*.safetensors"))}
    basis = digest_of([weights, split.parts, {u.id: [u.text, u.label] for u in manifest}, beams])
    if target.exists() and stamp.exists() and stamp.read_text() == basis:
        return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    model, processor = load_model(str(saved.folder))
    task = task_for(model, processor, device, beams=beams)
    inputs = Inputs(task)
    part_of = {name: part for part in PARTS for name in split.parts[part]}
    utterances = [u for u in manifest if u.id in part_of]
    description = f"{saved.name}, all parts"
    scored = score(task, inputs, utterances, batch_size=batch_size, description=description)
    rows = [row(part_of[one.utterance.id], one) for one in scored]
    with write_aside(target) as aside:
        aside.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    with write_aside(stamp) as aside:
        aside.write_text(basis)
    return rows


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """WER, CER and loss by part, with 95% intervals over speakers."""
    found: dict[str, Any] = {"wer": {}, "cer": {}, "loss": {}, "ci95": {"wer": {}, "cer": {}}}
    for part in PARTS:
        chosen = [r for r in rows if r["part"] == part]
        if not chosen:
            continue
        found["loss"][part] = sum(r["loss"] for r in chosen) / len(chosen)
        for figure, errors, length in (
            ("wer", "word_errors", "words"),
            ("cer", "character_errors", "characters"),
        ):
            counts = [Errors(r[errors], r[length]) for r in chosen]
            found[figure][part] = rate(counts)
            interval = speaker_interval(counts, [r["speaker"] for r in chosen])
            if interval is not None:
                found["ci95"][figure][part] = list(interval)
    return found


def membership(rows: Sequence[Row]) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """How well the loss tells the forget speakers' training utterances from strangers'.

    The figures, and their 95% intervals.
    """
    groups = {
        part: [
            Observation(r["speaker"], r["loss"], r["seconds"], r["characters"])
            for r in rows
            if r["part"] == part
        ]
        for part in ("forget", "unseen")
    }
    attack = loss_attack(groups["forget"], groups["unseen"])
    found: dict[str, Any] = {"loss_auc": attack.auc, "pairs": attack.pairs}
    if attack.true_positives is not None:
        found["loss_tpr_at_1_percent_fpr"] = attack.true_positives
    return found, {"loss_auc": list(attack.interval)} if attack.interval else {}


def forget_losses(rows: Sequence[Row]) -> list[float]:
    return [r["loss"] for r in rows if r["part"] == "forget"]


def part_summary(split: Split, manifest: Sequence[Utterance]) -> dict[str, Any]:
    """Utterances, seconds and speakers of every part."""
    parts = {part: split.utterances(part, manifest) for part in PARTS}
    return {
        part: {
            "utterances": len(utterances),
            "seconds": round(sum(u.seconds for u in utterances), 2),
            "speakers": len({u.speaker for u in utterances}),
        }
        for part, utterances in parts.items()
    }


def evaluate(
    models: Sequence[SavedModel],
    manifest: Sequence[Utterance],
    split: Split,
    *,
    root: Path,
    corpus: str,
    left_out: Mapping[str, Any],
    device: torch.device,
    beams: int = 1,
) -> dict[str, Any]:
    """The content of results.json for these models; paths are relative to `root`.

    `beams` is the width of the search for transcripts where a decoder writes them.
    Gaps and relative costs are against the model named "retrained" of the same seed, and are
    absent where there is none.
    """
    rows = {
        (m.name, m.seed): transcribe(m, manifest, split, device=device, beams=beams) for m in models
    }
    found = {key: figures(r) for key, r in rows.items()}
    runs = {(m.name, m.seed): m.run() for m in models}
    entries = []
    for model in models:
        key, gold = (model.name, model.seed), ("retrained", model.seed)
        entry: dict[str, Any] = {
            "name": model.name,
            "seed": model.seed,
            "path": str(model.folder.relative_to(root)),
            **_cost(runs[key], runs.get(gold, {})),
            **found[key],
        }
        entry["membership"], entry["ci95"]["membership"] = membership(rows[key])
        if gold in found:
            entry["gap_to_retrained"] = gap(found[key], found[gold])
            distance = earth_mover(forget_losses(rows[key]), forget_losses(rows[gold]))
            entry["divergence"] = {"emd_forget_loss": distance}
        entries.append(entry)
    return {
        "schema": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "command": invocation(),
        "corpus": corpus,
        "data": dict(left_out),
        "split": {
            "seed": split.seed,
            "forget_speakers": list(split.forget_speakers),
            "parts": part_summary(split, manifest),
        },
        "models": entries,
    }


def _cost(run: Mapping[str, Any], gold: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says of time and memory; nothing for a model made elsewhere."""
    if "seconds" not in run:
        return {}
    cost = {"seconds": run["seconds"], "steps": run["steps"]}
    if run.get("peak_bytes") is not None:
        cost["peak_bytes"] = run["peak_bytes"]
    entry: dict[str, Any] = {
        "parameters": run["parameters"],
        "seconds": run["seconds"],
        "steps": run["steps"],
        "options": run["options"],
        "cost": cost,
    }
    if run["kind"] == "unlearn":
        entry |= {"unlearn_seconds": run["seconds"], "stopped": run["stopped"]}
        if gold.get("seconds"):
            cost["relative_to_retraining"] = run["seconds"] / gold["seconds"]
    return entry
