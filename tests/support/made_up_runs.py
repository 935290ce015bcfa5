"""Made-up runs: transcripts with errors at given rates, and their figures."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile

from asr_unlearn.data.split import OF_EVERY_SPLIT
from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.reporting.comparison import Comparison, compare
from asr_unlearn.reporting.runs import ROWS
from asr_unlearn.reporting.summary import Summary, summary
from asr_unlearn.runtime.cache import predictions_folder

# Word error rates by part, similar to a small model on AN4.
RATES = {
    name: dict(zip(OF_EVERY_SPLIT, rates, strict=True))
    for name, rates in {
        "original": (0.02, 0.17, 0.03, 0.20, 0.22),
        "retrained": (0.31, 0.30, 0.035, 0.20, 0.24),
        "gradient_ascent": (0.30, 0.38, 0.23, 0.36, 0.39),
        "neggrad_plus": (0.43, 0.45, 0.15, 0.30, 0.33),
        "orthograd": (0.22, 0.28, 0.075, 0.25, 0.28),
        "orthograd_tau": (0.28, 0.29, 0.028, 0.21, 0.27),
    }.items()
}
SIZES = {"forget": 60, "forget_heldout": 12, "retain": 150, "unseen": 60, "test": 60}
SPEAKERS = {"forget": 6, "forget_heldout": 6, "retain": 15, "unseen": 8, "test": 8}
WORDS = ["yes", "no", "stop", "go", "enter", "nine", "two", "four", "erase", "help", "june", "oh"]
SECONDS = {"original": 431.0, "retrained": 402.5}


def write_run(
    folder: Path, models: Sequence[str], seeds: Sequence[int], texts: Sequence[str] = ()
) -> Path:
    """`texts` are transcripts that the first forget utterances get."""
    written: list[dict[str, Any]] = []
    for seed in seeds:
        of_seed = [_write_model(folder, name, seed, len(seeds) > 1, texts) for name in models]
        retrained = next((m for m in of_seed if m["name"] == "retrained"), None)
        for model in of_seed:
            if retrained is not None and model is not retrained:
                model["gap_to_retrained"] = _gaps(model, retrained)
                model["divergence"] = {"emd_forget_loss": abs(_gap(model, retrained, "loss"))}
        written += of_seed
    path = folder / "results.json"
    write_results(path, {**_head(), "models": written})
    return path


def set_task(path: Path, task: str) -> None:
    """Make the results those of another task; classes are judged by accuracy alone."""
    record = json.loads(path.read_text())
    record["task"] = task
    for model in record["models"] if task == "classification" else ():
        model["accuracy"] = {part: 1 - rate for part, rate in model.pop("wer").items()}
        intervals = model.pop("ci95").pop("wer")
        model["ci95"] = {"accuracy": {p: [1 - b, 1 - a] for p, (a, b) in intervals.items()}}
        gaps = model.get("gap_to_retrained", {"wer": {}, "cer": {}})
        gaps["accuracy"] = {part: -gap for part, gap in gaps.pop("wer").items()}
        del model["cer"], gaps["cer"]
        _as_classes(predictions(path, model["path"]) / ROWS)
        model["confusion"] = {"labels": ["yes", "no"], "counts": [[7, 3], [0, 10]]}
    write_results(path, record)


def predictions(results: Path, model: str) -> Path:
    """Where the predictions of a model are, whose path is relative to results.json."""
    return predictions_folder(results.parent / model, results.parent)


def _as_classes(path: Path) -> None:
    """An utterance is right or wrong as a whole."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["errors"] = int(row.pop("word_errors") > 0)
        for key in ("words", "character_errors", "characters"):
            del row[key]
    _write_lines(path, rows)


def attacked(path: Path) -> None:
    """Give every model the figures of all attacks, a judge, verification, relearning, rounding."""
    record = json.loads(path.read_text())
    for model in record["models"]:
        rng = random.Random(f"{model['name']} {model['seed']}")
        names = ("loss", "neighbours", "classifier", "informed", "lira", "rmia", "ulira")
        areas = {f"{name}_auc": rng.uniform(0.5, 0.9) for name in names}
        model["membership"] = {
            **areas, "pairs": 60, "informed_models": 3, "shadow_models": 16,
            "lira_tpr_at_1_percent_fpr": 0.12, "lira_tpr_at_0_1_percent_fpr": 0.03,
        }  # fmt: skip
        model["ci95"]["membership"] = {key: [v - 0.05, v + 0.05] for key, v in areas.items()}
        model["unlearned_shadows"] = {
            "models": 16, "memorised_auc": 0.8, "retrained_auc": 0.52,
            "klom": rng.uniform(0.1, 2), "forgetting_quality": 0.4,
        }  # fmt: skip
        model["raw_wer"] = {part: 1.2 * rate for part, rate in model.get("wer", {}).items()}
        model["normalised_wer"] = {part: 0.9 * rate for part, rate in model.get("wer", {}).items()}
        model["nbest"] = {
            f"{part}_{key}": value
            for part in ("forget", "unseen")
            for key, value in (("utterances", 40), ("oracle_wer", 0.1), ("found", 0.6))
        }
        model["extraction"] = {
            f"{part}_{key}": value
            for part in ("forget", "unseen")
            for key, value in (("utterances", 40), ("labels", 0.3), ("verbatim", 0.05))
        }
        model["masking"] = {
            f"{part}_{key}": value
            for part in ("forget", "unseen")
            for key, value in (("utterances", 40), ("written", 0.1))
        }
        model["planted_noise"] = {
            "forget_utterances": 40, "forget_auc": rng.uniform(0.4, 0.9), "forget_p": 0.02,
        }  # fmt: skip
        model["further_test"] = {
            "utterances": 80, "speakers": 7, "wer": rng.uniform(0.1, 0.2), "cer": 0.05,
            "raw_wer": 0.3, "loss": 0.4, "overlong": 1, "overlong_wer": 0.02,
        }  # fmt: skip
        model["ci95"]["further_test"] = {"wer": [0.05, 0.3]}
        model["nearest_voices"] = {"speakers": 6, "nearest_wer": 0.04, "other_wer": 0.02}
        model["relearning"] = {"one_utterance_steps": rng.randint(2, 90), "limit": 200}
        model["cka"] = {
            "forget": {"1": rng.uniform(0.9, 1.0), "2": rng.uniform(0.5, 0.9)},
            "test": {"1": 0.99, "2": 0.95},
        }  # fmt: skip
        model["layers"] = {
            "probe_forget": {"1": 0.4, "2": rng.uniform(0.5, 0.9)},
            "probe_retain": {"1": 0.6, "2": 0.7},
            "principal_cosine": {"1": 1.0, "2": rng.uniform(0, 1)},
            "principal_shift": {"1": 0.1, "2": 1.4},
        }  # fmt: skip
        model["update_leakage"] = {"auc": 0.97, "speaker_auc": 1.0, "speaker_p": 0.002}
        model["ci95"]["update_leakage"] = {"auc": [0.9, 1.0]}
        model["speaker_membership"] = {
            **areas, **{f"{name.removesuffix('_auc')}_p": 0.01 for name in areas},
            "members": 6, "others": 8,
        }  # fmt: skip
        model["quantisation"] = {
            "rounded_parameters": 1_000_000,
            **{f"{precision}_{part}_loss": model["loss"][part] * factor
               for precision, factor in (("bf16", 1.0), ("int8", 0.99), ("int4", 0.7))
               for part in ("forget", "unseen")},
        }  # fmt: skip
        if model["name"] != "original":
            model["quantisation"] |= {"int8_brought_back": -0.03, "int4_brought_back": 0.62}
            model["ci95"]["quantisation"] = {"int4_brought_back": [-0.1, 0.8]}
        model["speaker_id"] = {
            "probe_forget": 0.4, "probe_retain": 0.5, "chance": 0.05,
            "judge_forget": rng.uniform(0, 1), "judge_retain": 0.97, "judge_eer": 0.04,
        }  # fmt: skip
        model["verification"] = {
            "eer": 0.05, "trials": 900, "similarity_same": 0.7, "similarity_different": 0.1,
            "forget_eer": 0.3, "forget_similarity_same": 0.4, "forget_similarity_different": 0.2,
        }  # fmt: skip
    write_results(path, record)


def summary_of(path: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Summary:
    """The summary of results whose models, by "name seed", are changed first."""
    return summary(comparison_of(path, change))


def comparison_of(
    path: Path, change: Callable[[dict[str, Any]], None] = lambda _: None
) -> Comparison:
    """The comparison of results whose models, by "name seed", are changed first."""
    record = json.loads(path.read_text())
    change({f"{m['name']} {m['seed']}": m for m in record["models"]})
    write_results(path, record)
    return compare(read_results(path))


def recorded(path: Path, seconds: float = 0.5) -> Path:
    """A manifest beside the results, of a tone that all utterances share."""
    wave = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(round(seconds * 16_000)) / 16_000)
    soundfile.write(path.with_name("tone.wav"), wave, 16_000)
    lines = [
        {"id": f"{part}-{index:03d}", "audio": "tone.wav", "speaker": "s", "seconds": seconds}
        for part in SIZES
        for index in range(SIZES[part])
    ]
    _write_lines(path.with_name("manifest.jsonl"), lines)
    return path.with_name("tone.wav")


def _head() -> dict[str, Any]:
    parts = {
        part: {"utterances": SIZES[part], "seconds": 2.6 * SIZES[part], "speakers": SPEAKERS[part]}
        for part in SIZES
    }
    return {
        "schema": 2,
        "created": "2031-05-04T10:20:30+00:00",
        "versions": {"asr_unlearn": "0.1.0", "torch": "2.11.0"},
        "command": "recipes/an4/run.sh --data AN4 --methods orthograd_tau --seeds 0",
        "corpus": "AN4",
        "data": {"checked": 351, "kept": 342, "left_out": {"too short": 3, "missing audio": 6}},
        "split": {"seed": 7, "forget_speakers": [f"fs{i:02d}" for i in range(6)], "parts": parts},
    }


def _write_model(
    folder: Path, name: str, seed: int, nested: bool, texts: Sequence[str]
) -> dict[str, Any]:
    path = f"seed{seed}/{name}" if nested else name
    (folder / path).mkdir(parents=True)
    rows = [row for part in SIZES for row in _rows(name, seed, part, texts)]
    quoted = predictions(folder / "results.json", path)
    quoted.mkdir(parents=True)
    _write_lines(quoted / ROWS, rows)
    (folder / path / "run.json").write_text(json.dumps({"config": {"lr": 5e-4}, "seed": seed}))
    rates = {part: _pooled(rows, part) for part in SIZES}
    model: dict[str, Any] = {
        "name": name, "seed": seed, "path": path, "parameters": 1_080_000, "steps": 80,
        "seconds": SECONDS.get(name, 81.25 + seed), "options": {"lr": 5e-4, "alpha": 0.5},
        "wer": rates,
        "cer": {part: rate / 2 for part, rate in rates.items()},
        "loss": {part: _mean_loss(rows, part) for part in SIZES},
        "ci95": {"wer": {part: [0.8 * rate, 1.25 * rate] for part, rate in rates.items()}},
    }  # fmt: skip
    if name not in SECONDS:
        target = RATES["retrained"]["unseen"] * 2
        final = model["loss"]["forget"]
        checks = [
            {"step": step, "epoch": 0, "seconds": 1.0 * step, "lr": 5e-4,
             "check_forget_loss": 0.02 + (final - 0.02) * step / 80,
             "check_forget_cer": 0.01 + 0.1 * step / 80,
             "target_loss": target, "target_cer": 0.1}
            for step in range(0, 81, 8)
        ]  # fmt: skip
        _write_lines(folder / path / "metrics.jsonl", checks)
        model |= {
            "unlearn_seconds": model["seconds"],
            "stopped": "forget loss and CER reached those of unseen speakers",
            "cost": {"seconds": model["seconds"], "steps": 80, "peak_bytes": 734_003_200,
                     "relative_to_retraining": model["seconds"] / SECONDS["retrained"]},
        }  # fmt: skip
    else:
        rows = [{"step": step, "train_loss": 300 / step} for step in range(1, 301)]
        _write_lines(folder / path / "metrics.jsonl", rows)
    return model


def _rows(name: str, seed: int, part: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    drawn = random.Random(part)
    noise = random.Random(f"{name} {seed} {part}")
    prefix = "fs" if part.startswith("forget") else part[0]
    rows = []
    for index in range(SIZES[part]):
        reference = " ".join(drawn.choices(WORDS, k=drawn.randint(3, 9)))
        if part == "forget" and index < len(texts):
            reference = texts[index]
        hypothesis = _corrupt(reference, RATES[name][part], noise)
        counted = jiwer.process_words([reference], [hypothesis])
        words = len(counted.references[0])
        errors = counted.substitutions + counted.deletions + counted.insertions
        rows.append(
            {"id": f"{part}-{index:03d}", "part": part,
             "speaker": f"{prefix}{index % SPEAKERS[part]:02d}", "seconds": 2.6,
             "reference": reference, "hypothesis": hypothesis,
             "loss": RATES[name][part] * 2 * noise.lognormvariate(-0.4, 0.9),
             "word_errors": errors, "words": words,
             "character_errors": errors, "characters": len(reference)}
        )  # fmt: skip
    return rows


def _corrupt(text: str, rate: float, noise: random.Random) -> str:
    transcribed: list[str] = []
    for word in text.split():
        draw = noise.random()
        if draw >= rate:
            transcribed.append(word)
        elif draw < 0.7 * rate:
            transcribed.append(noise.choice(WORDS) + "s")
        elif draw > 0.85 * rate:
            transcribed += [word, "uh"]
    return " ".join(transcribed)


def _pooled(rows: Sequence[Mapping[str, Any]], part: str) -> float:
    mine = [row for row in rows if row["part"] == part]
    return float(sum(row["word_errors"] for row in mine) / sum(row["words"] for row in mine))


def _mean_loss(rows: Sequence[Mapping[str, Any]], part: str) -> float:
    mine = [row["loss"] for row in rows if row["part"] == part]
    return float(sum(mine) / len(mine))


def _gap(model: Mapping[str, Any], retrained: Mapping[str, Any], metric: str) -> float:
    return float(model[metric]["forget"] - retrained[metric]["forget"])


def _gaps(model: Mapping[str, Any], retrained: Mapping[str, Any]) -> dict[str, Any]:
    gaps: dict[str, Any] = {
        metric: {part: model[metric][part] - retrained[metric][part] for part in SIZES}
        for metric in ("wer", "cer", "loss")
    }
    wer = gaps["wer"]
    gaps["avg_d"] = sum(map(abs, wer.values())) / len(wer)
    gaps["tow"] = (1 - abs(wer["forget"])) * (1 - abs(wer["retain"])) * (1 - abs(wer["test"]))
    return gaps


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
