"""From saved models to results.json: the only road to a number."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.membership import Attackers, membership
from asr_unlearn.evaluation.attacks.relearning import relearn
from asr_unlearn.evaluation.compared_models import RETRAINED, check_folders, check_retrained, place
from asr_unlearn.evaluation.predictions import (
    Row,
    classified,
    divergence,
    is_transcribed,
    mean_states,
    transcribe,
)
from asr_unlearn.evaluation.speaker_verification import Judge, Trials, names_speakers, verification
from asr_unlearn.metrics.accuracy import accuracy, confusion
from asr_unlearn.metrics.divergence import earth_mover
from asr_unlearn.metrics.gap import gap
from asr_unlearn.metrics.speaker_probe import probe
from asr_unlearn.metrics.wer import Errors, rate, speaker_interval
from asr_unlearn.models.inference import with_known_labels
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.targets import check_targets
from asr_unlearn.runtime.cache import cache_folder, predictions_folder
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest_of
from asr_unlearn.runtime.provenance import invocation, versions

# Speakers and utterances that the probe learns from, where the retain set has more.
PROBE_SPEAKERS, PROBE_UTTERANCES = 100, 40


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Loss, and WER and CER or a classifier's accuracy, by part; 95% intervals over speakers."""
    names = ("accuracy",) if classified(rows) else ("wer", "cer")
    found: dict[str, Any] = {name: {} for name in names}
    found |= {"loss": {}, "ci95": {name: {} for name in names}}
    for part in PARTS:
        chosen = [r for r in rows if r["part"] == part]
        if not chosen:
            continue
        found["loss"][part] = sum(r["loss"] for r in chosen) / len(chosen)
        for name, (value, interval) in _rates(chosen).items():
            found[name][part] = value
            if interval is not None:
                found["ci95"][name][part] = list(interval)
    return found


def _rates(rows: Sequence[Row]) -> dict[str, tuple[float, tuple[float, float] | None]]:
    """Each rate of some utterances, and its interval."""
    speakers = [r["speaker"] for r in rows]
    if classified(rows):
        return {"accuracy": accuracy([r["errors"] for r in rows], speakers)}
    counts = {
        "wer": [Errors(r["word_errors"], r["words"]) for r in rows],
        "cer": [Errors(r["character_errors"], r["characters"]) for r in rows],
    }
    return {name: (rate(each), speaker_interval(each, speakers)) for name, each in counts.items()}


def confusion_matrix(rows: Sequence[Row]) -> dict[str, Any]:
    """Of a classifier on the part test; empty where there is none to be had."""
    tested = [r for r in rows if r["part"] == "test"]
    if not (tested and classified(rows)):
        return {}
    labels = sorted({r[key] for r in rows for key in ("reference", "hypothesis")})
    truth, answers = ([r[key] for r in tested] for key in ("reference", "hypothesis"))
    found = confusion(truth, answers, labels)
    return {} if found is None else {"confusion": found}


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


@dataclass(frozen=True)
class _Shared:
    """What an evaluation finds of all models together, by name and seed."""

    data: Corpus
    root: Path
    device: torch.device
    models: Mapping[Key, SavedModel]
    runs: Mapping[Key, Mapping[str, Any]]
    rows: Mapping[Key, Sequence[Row]]
    figures: Mapping[Key, dict[str, Any]]
    attackers: Attackers
    relearned: Mapping[Key, dict[str, float]]
    trials: Trials | None
    judge: Judge | None


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
    budget: AttackBudget = AttackBudget(),  # noqa: B008
    trials: Path | None = None,
    judge: Path | None = None,
) -> dict[str, Any]:
    """The content of results.json for these models; paths are relative to `root`.

    `beams` is the width of the search for transcripts where a decoder writes them; `budget` says
    which attacks are made that have to be trained for. `trials` are a corpus' own of speaker
    verification, `judge` a folder of speaker classifiers that were treated as the models were.
    Gaps and relative costs are against the model named "retrained" of the same seed, and are
    absent where there is none.

    Raises:
        ValueError: a model cannot be asked of some utterances; the models were made for different
            tasks, two have one name and seed, or one is not under `root`; attacks that go by the
            original, and there is none; or a model called retrained that has met the forget
            speakers.
    """
    check_folders(models, root)
    check_retrained(models, split)
    kinds = {m.kind() for m in models}
    if len(kinds) > 1:
        raise InputError(
            f"models of different tasks cannot be compared: {', '.join(sorted(kinds))}"
        )
    data = Corpus(list(manifest), split, cache_folder(root / "results.json"))
    models = [
        replace(m, cache=predictions_folder(m.folder, root)).spelled(data.part("retain"), device)
        for m in models
    ]
    attackers = Attackers.of(models, data, root, budget, device=device, beams=beams)
    # All models have one task: trials are for classifiers of speakers, a judge for the others.
    tried = Trials.of(data, trials) if names_speakers(models[0], manifest) else None
    judged = Judge.at(judge, data, root) if judge else None
    check_all_targets(
        [m for m in models if not is_transcribed(m, manifest, split, beams=beams)], data
    )
    rows = {m.key: transcribe(m, manifest, split, device=device, beams=beams) for m in models}
    attackers.train(root, budget.side_by_side(device))
    shared = _Shared(
        data=data,
        root=root,
        device=device,
        models={m.key: m for m in models},
        runs={m.key: m.run() for m in models},
        rows=rows,
        figures={key: figures(own) for key, own in rows.items()},
        attackers=attackers,
        relearned=relearn(models, rows, data, root, budget, device=device),
        trials=tried,
        judge=judged,
    )
    return {
        "schema": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "command": invocation(),
        "task": kinds.pop(),
        "beams": beams,
        **({} if models[0].window is None else {"window": models[0].window}),
        "corpus": corpus,
        "data": dict(left_out),
        "split": {
            "seed": split.seed,
            "forget_speakers": list(split.forget_speakers),
            **({"forget_labels": list(split.forget_labels)} if split.forget_labels else {}),
            "parts": part_summary(split, manifest),
        },
        "models": [_entry(model, shared) for model in models],
    }


def check_all_targets(models: Sequence[SavedModel], data: Corpus) -> None:
    """See that each model can be asked of every utterance it has an answer for, before any is.

    Models of the same settings spell alike, and one of them is asked for all.

    Raises:
        ValueError: naming utterances that a model cannot be asked of.
    """
    kinds = {digest_of(model.settings()): model for model in models}
    for model in kinds.values():
        task = model.task(torch.device("cpu"))
        check_targets(task, with_known_labels(task, data.part(*PARTS)))


def _entry(model: SavedModel, shared: _Shared) -> dict[str, Any]:
    """What results.json says of one model."""
    key, retrained = model.key, (RETRAINED, model.seed)
    rows = shared.rows[key]
    entry: dict[str, Any] = {
        "name": model.name,
        "seed": model.seed,
        "path": str(place(model.folder, shared.root)),
        **_cost(shared.runs[key], shared.runs.get(retrained, {})),
        **shared.figures[key],
        **confusion_matrix(rows),
    }
    entry["membership"], entry["ci95"]["membership"] = membership(model, rows, shared.attackers)
    if key in shared.relearned:
        entry["relearning"] = shared.relearned[key]
    _speaker_id(entry, model, shared)
    if shared.trials:
        entry["verification"] = verification(
            model, shared.data, shared.trials, device=shared.device
        )
    elif shared.judge and (verdict := shared.judge.figures(model, device=shared.device)):
        entry["speaker_id"] = entry.get("speaker_id", {}) | verdict
    if gold := shared.models.get(retrained):
        _against(gold, entry, model, shared)
    return entry


def _against(gold: SavedModel, entry: dict[str, Any], model: SavedModel, shared: _Shared) -> None:
    """Enter how far the model is from the retrained one, in figures and in what it says."""
    found, target = shared.figures[model.key], shared.figures[gold.key]
    entry["gap_to_retrained"] = gap(found, target)
    losses = (forget_losses(shared.rows[key]) for key in (model.key, gold.key))
    parts = {p: shared.data.part(p) for p in ("forget", "test") if p in found["loss"]}
    entry["divergence"] = {
        "emd_forget_loss": earth_mover(*losses),
        **_mean_divergence(gold, model, parts, shared.device),
    }


def _speaker_id(entry: dict[str, Any], model: SavedModel, shared: _Shared) -> None:
    """Enter what a probe of the encoder's states finds of the speakers, with intervals."""
    split = shared.data.split
    if not split.forget_speakers:
        return
    utterances = probed(split, shared.data.manifest)
    states = mean_states(model, utterances, device=shared.device)
    found = probe(states, [u.speaker for u in utterances], set(split.forget_speakers))
    if found is None:
        return
    entry["speaker_id"] = {
        "probe_forget": found.forget,
        "probe_retain": found.retain,
        "chance": found.chance,
    }
    intervals = {"probe_forget": found.forget_interval, "probe_retain": found.retain_interval}
    entry["ci95"]["speaker_id"] = {key: list(span) for key, span in intervals.items() if span}


def probed(split: Split, manifest: Sequence[Utterance]) -> list[Utterance]:
    """The forget utterances and those of some retain speakers, drawn by the split's seed."""
    rng = np.random.default_rng(split.seed)
    retain = split.utterances("retain", manifest)
    names = sorted({u.speaker for u in retain})
    chosen = set(rng.permutation(names)[:PROBE_SPEAKERS].tolist())
    counts: Counter[str] = Counter()
    utterances = list(split.utterances("forget", manifest))
    for index in rng.permutation(len(retain)):
        speaker = retain[index].speaker
        if speaker in chosen and counts[speaker] < PROBE_UTTERANCES:
            counts[speaker] += 1
            utterances.append(retain[index])
    return utterances


def _mean_divergence(
    gold: SavedModel,
    model: SavedModel,
    parts: Mapping[str, Sequence[Utterance]],
    device: torch.device,
) -> dict[str, float]:
    """D_KL(retrained ‖ model) on some parts; empty where the models cannot be compared.

    In nats, mean over frames or tokens and then over utterances.
    """
    each = divergence(gold, model, [u for us in parts.values() for u in us], device=device)
    if each is None:
        return {}
    return {
        # Rounding may put what is zero below it.
        f"kl_{part}": max(0.0, sum(each[u.id] for u in utterances) / len(utterances))
        for part, utterances in parts.items()
        if utterances
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
        if run.get("warning"):
            entry["warning"] = run["warning"]
        if gold.get("seconds"):
            cost["relative_to_retraining"] = run["seconds"] / gold["seconds"]
    return entry
