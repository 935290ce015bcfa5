"""`asr-unlearn evaluate`, `report` and `verify`; flags are the signatures below."""

import json
import math
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeInt, PositiveInt
from rich.console import Console

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import absolute
from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.compared_models import without_retrained
from asr_unlearn.evaluation.deletion_record import changed_figures, differences, write_records
from asr_unlearn.evaluation.evaluate import evaluate as evaluate_models
from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.evaluation.speaker_verification import TRIALS
from asr_unlearn.models.checks import models_in
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.window import Window, longest_seconds
from asr_unlearn.reporting import table, write_report
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_file


def evaluate(
    manifest: Path,
    split: Path,
    out: Path,
    models: str,
    corpus: str = "",
    device: Device = "auto",
    beams: PositiveInt = 1,
    informed: NonNegativeInt = 0,
    shadows: NonNegativeInt = 0,
    relearn: bool = False,
    workers: NonNegativeInt = 0,
    judge: Path | None = None,
    original: str = "",
    retrained: str = "",
    window: Window = "full",
) -> None:
    """Evaluate saved models into results.json.

    Example: asr-unlearn evaluate --manifest out/manifest.jsonl --split out/split.json
    --models original,retrained,orthograd --out out/results.json

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        out: results.json to write.
        models: model folders beside results.json, with commas; several seeds as seed0/original.
        corpus: the corpus' name in the report.
        device: auto, cpu or cuda.
        beams: width of the search for transcripts, where a decoder writes them; 1 is greedy.
        informed: models that an attacker unlearns of other speakers, for each unlearned model; kept
            beside results.json in informed/.
        shadows: models trained as the original was, with and without each speaker, for the attacks
            LiRA and RMIA; an even number, kept in shadows/.
        relearn: count the steps of fine-tuning until a model knows the forget speakers again.
        workers: of these trainings side by side; 0 for as many as there are cores, one on a GPU.
        judge: output folder of a speaker classifier's run on the same split: of each recogniser the
            classifier of the same method and seed tells what is left of the voices.
        original: folder beside results.json of the model that all were unlearned from, if it is not
            called original and among the models.
        retrained: the same for the model trained without the forget speakers, which all are
            compared with.
        window: of a Whisper's encoder: full, as it was saved; auto for the longest utterance
            rounded up to whole seconds, which takes less time; or seconds.
    """
    check_file(out)
    budget = AttackBudget(informed, shadows, relearn, workers)
    data = Corpus.read(manifest, split)
    root = out.parent
    chosen = _models(models, root, original=original, retrained=retrained)
    chosen = _with_window(chosen, window, data)
    results = evaluate_models(
        chosen,
        data.manifest,
        data.split,
        root=root,
        corpus=corpus or absolute(manifest).parent.name,
        left_out=_left_out(manifest),
        device=pick_device(device),
        beams=beams,
        budget=budget,
        trials=manifest.with_name(TRIALS),
        judge=judge,
    ).results
    write_results(out, results)
    for model in without_retrained(chosen):
        print(
            f"{model.folder} has the seed {model.seed}, of which there is no retrained model: it "
            "is not measured against one",
            file=sys.stderr,
        )
    _, others = write_records(results, root, manifest, split)
    for folder in others:
        print(
            f"{folder} was unlearned for another request than {split}: no deletion record is "
            "written, and its figures say nothing of this request",
            file=sys.stderr,
        )
    print(f"wrote {out}; next: {shlex.join(['asr-unlearn', 'report', '--results', str(out)])}")


def _models(models: str, root: Path, **renamed: str) -> list[SavedModel]:
    """Those of `root` by the names of their folders, which must stand there; and the renamed.

    One that goes by another name than its folder's is that for all seeds.
    """
    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names:
        raise InputError(f"--models names none of {', '.join(models_in(root)) or 'no models'}")
    if gone := [name for name in names if not (root / name).is_dir()]:
        raise InputError(
            f"--models {', '.join(gone)}: no such folder in {root}; "
            f"there are {', '.join(models_in(root)) or 'no models'}"
        )
    chosen = [SavedModel.at(root / name) for name in names]
    others = [
        SavedModel(name, seed, root / path)
        for seed in sorted({model.seed for model in chosen})
        for name, path in renamed.items()
        if path
    ]
    return [*others, *chosen]


def _with_window(models: list[SavedModel], window: Window, data: Corpus) -> list[SavedModel]:
    """The models with the seconds of their encoders' windows, where they have any."""
    if window == "full" or {model.kind() for model in models} != {"seq2seq"}:
        if isinstance(window, float):
            raise InputError(f"--window {window:g}: only Whispers that transcribe have one")
        return models
    if window == "auto":
        longest = longest_seconds(data.part(*PARTS))
        return [replace(m, window=longest and float(math.ceil(longest))) for m in models]
    return [replace(model, window=float(window)) for model in models]


def _left_out(manifest: Path) -> dict[str, Any]:
    """How many utterances were left out for which reason, from what preparation wrote."""
    path = manifest.with_suffix(".problems.json")
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    counts: dict[str, int] = {}
    for problem in content["problems"]:
        counts[problem["reason"]] = counts.get(problem["reason"], 0) + 1
    return {"checked": content["checked"], "kept": content["kept"], "left_out": counts}


def report(results: Path, audio: bool = True) -> None:
    """Write report.md and report.html beside results.json, and print the table.

    Example: asr-unlearn report --results out/results.json

    Args:
        results: results.json of an evaluation; of attacks.json it makes attacks-report.md and
            attacks-report.html.
        audio: let a few examples be heard in report.html, which then holds recordings of speakers,
            of those to be forgotten among them.
    """
    markdown, page = write_report(results, audio=audio)
    Console().print(table(read_results(results)))
    print(f"{markdown}\n{page}")


def verify(model: Path, full: bool = False, device: Device = "auto") -> None:
    """Check a model against its deletion record.

    Example: asr-unlearn verify --model out/orthograd_tau --full true

    Args:
        model: folder with a deletion_record.json, as `evaluate` leaves it.
        full: evaluate the model anew, and compare the figures as well as the hashes.
        device: auto, cpu or cuda.
    """
    try:
        record, changed, gone = differences(model)
    except FileNotFoundError as error:
        # Without the name of a file it says that there is no record.
        if error.filename is None:
            raise
        raise InputError(
            f"{model}: its record points to {error.filename}, which is gone; put it back where it "
            "was, or the model where it was recorded"
        ) from error
    for name in record["sha256"]:
        said = "CHANGED" if name in changed else "gone" if name in gone else "as recorded"
        print(f"{name}: {said}")
    if full and "manifest" in gone:
        raise InputError(
            f"{model}: without the manifest that it was recorded with, nothing can be "
            "measured again; put it back where it was"
        )
    if full and not changed:
        changed = changed_figures(model, record, pick_device(device))
        print("figures: " + ("CHANGED" if changed else "as recorded"))
    if changed:
        raise InputError(f"{model} is not as recorded on {record['created']}: {'; '.join(changed)}")
