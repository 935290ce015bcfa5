"""Evaluate saved models into results.json, with the deletion records."""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr_unlearn.api.arguments import NonNegativeInt, PositiveInt
from asr_unlearn.api.inputs import read_corpus
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.compared_models import without_retrained
from asr_unlearn.evaluation.deletion_record import write_records
from asr_unlearn.evaluation.evaluate import Evaluation
from asr_unlearn.evaluation.evaluate import evaluate as evaluate_models
from asr_unlearn.evaluation.jobs import Workers
from asr_unlearn.evaluation.measures.registry import chosen
from asr_unlearn.evaluation.results import RESULT_KEYS, read_results
from asr_unlearn.evaluation.signature import signing_key
from asr_unlearn.evaluation.speaker_verification import TRIALS
from asr_unlearn.methods.registry import users_method
from asr_unlearn.models.checks import models_in
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.window import Window, check_window, longest_seconds
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import absolute
from asr_unlearn.runtime.outputs import check_file
from asr_unlearn.runtime.runner import LOCAL
from asr_unlearn.runtime.text import names_in
from asr_unlearn.runtime.tracking import TrackerName, check_tracker, tracking

logger = logging.getLogger(__name__)


def evaluate(
    manifest: Path | str,
    split: Path | str,
    out: Path | str,
    models: str | Sequence[str],
    *,
    corpus: str = "",
    device: Device = "auto",
    beams: PositiveInt = 1,
    informed: NonNegativeInt = 0,
    shadows: NonNegativeInt = 0,
    unlearn_shadows: bool = False,
    neighbours: bool = False,
    measures: str | Sequence[str] = (),
    workers: NonNegativeInt = 0,
    runner: str = LOCAL,
    method_files: str | Sequence[str] = (),
    judge: Path | str | None = None,
    original: str = "",
    retrained: str = "",
    window: Window = "full",
    sign: Path | str | None = None,
    track: TrackerName | None = None,
) -> Evaluation:
    """Evaluate saved models into results.json.

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        out: results.json to write.
        models: model folders beside results.json, with commas; several seeds as seed0/original.
        corpus: the corpus' name in the report.
        device: auto, cpu or cuda.
        beams: beam width of a decoder; 1 is greedy search.
        informed: models that an informed attacker unlearns of other speakers, for each unlearned
            model; kept beside results.json in informed/.
        shadows: models trained as the original was, with and without each speaker, for the attacks
            LiRA and RMIA; an even number, kept in shadows/.
        unlearn_shadows: unlearn from each of these as from each unlearned model, for the attack
            U-LiRA and for distances over many models; kept in unlearned_shadows/.
        neighbours: attack also by the losses on the recordings with noise, quieter and faster.
        measures: what else to measure of each model, names with commas, such as relearning and
            quantisation: docs/evaluation.md lists them, and so does the message for an unknown one.
        workers: trainings of the attacks side by side; 0 for one for each core, one on a GPU. As
            many models are transcribed at the same time, one after the other with 0.
        runner: where attacks are trained and models transcribed: local, or ray or ray://HOST:PORT
            for a Ray cluster whose nodes share all folders (extra ray).
        method_files: methods of your own, as path/to/file.py:ClassName with commas, that the
            informed attack may run; none is run because a model's run.json names it.
        judge: output folder of a speaker classifier's run on the same split: for each recogniser,
            how well the classifier of the same method and seed names the speakers.
        original: folder beside results.json of the model that all were unlearned from, if it is not
            called original and among the models.
        retrained: folder beside results.json of the model trained without the forget speakers, if
            it is not called retrained and among the models.
        window: window of a Whisper's encoder: full, as it was saved; auto for the longest utterance
            rounded up to whole seconds, which takes less time; or seconds.
        sign: PEM file of an Ed25519 private key, to sign the deletion records with.
        track: send the figures to an experiment tracker too: tensorboard, trackio, wandb or mlflow.

    Returns:
        The figures, which have been written. Predictions are kept, and computed once.

    Raises:
        InputError: a model or option that cannot be used; see the message.

    Examples:
        >>> from asr_unlearn import evaluate
        >>> found = evaluate("manifest.jsonl", "split.json", "out/results.json",
        ...                  ["original", "retrained", "orthograd"])
        >>> [model.name for model in found.models]
        ['original', 'retrained', 'orthograd']
        >>> 0 <= found.models[0].figure("cer", "forget")
        True
    """
    manifest, split, out = Path(manifest), Path(split), Path(out)
    trials = manifest.with_name(TRIALS)
    check_file(out, manifest, split, trials, keys=RESULT_KEYS)
    check_tracker(track)
    key = None if sign is None else signing_key(Path(sign))
    budget = AttackBudget(
        informed=informed,
        shadows=shadows,
        unlearn_shadows=unlearn_shadows,
        neighbours=neighbours,
        method_files=tuple(names_in(method_files)),
    )
    _check_method_files(budget.method_files)
    measured, working = chosen(names_in(measures)), Workers(workers, runner)
    data = read_corpus(manifest, split, out)
    check_window(window)
    root = out.parent
    compared = _models(names_in(models), root, original=original, retrained=retrained)
    compared = _with_window(compared, window, data)
    if beams > 1 and not any(model.kind() == "seq2seq" for model in compared):
        raise InputError(f"--beams {beams}: only models with a decoder are searched with a beam")
    evaluation = evaluate_models(
        compared,
        data.manifest,
        data.split,
        root=root,
        corpus=corpus or absolute(manifest).parent.name,
        left_out=_left_out(manifest),
        device=distributed.own_device(pick_device(device)),
        beams=beams,
        budget=budget,
        measures=measured,
        workers=working,
        trials=trials,
        judge=None if judge is None else Path(judge),
    )
    if evaluation is None:
        # Another process has the figures, and writes them.
        distributed.barrier_without_group()
        written = read_results(out)
        return Evaluation(written.record, written.models, out)
    evaluation = evaluation.write(out)
    for model in without_retrained(compared):
        logger.warning(
            "%s has the seed %d, of which there is no retrained model: it is not compared with one",
            model.folder,
            model.seed,
        )
    with tracking(track, out) as tracker:
        if tracker is not None:
            for found in evaluation.models:
                tracker.figures({found.name: found.record}, step=found.seed)
            tracker.keep(out)
    _, others = write_records(out, manifest, split, key)
    for folder in others:
        logger.warning(
            "%s was unlearned for another request than %s: no deletion record is written, and its "
            "figures are not about this request",
            folder,
            split,
        )
    distributed.barrier_without_group()
    return evaluation


def _models(wanted: Sequence[str], root: Path, **renamed: str) -> list[SavedModel]:
    """The models in these folders of `root`, and the renamed ones of all seeds."""
    if not wanted:
        raise InputError(f"--models names none of {', '.join(models_in(root)) or 'no models'}")
    if gone := [name for name in wanted if not (root / name).is_dir()]:
        raise InputError(
            f"--models {', '.join(gone)}: no such folder in {root}; "
            f"there are {', '.join(models_in(root)) or 'no models'}"
        )
    chosen = [SavedModel.at(root / name) for name in wanted]
    others = [
        SavedModel(name, seed, root / path)
        for seed in sorted({model.seed for model in chosen})
        for name, path in renamed.items()
        if path
    ]
    # A folder that is given in its role, and among the models too, is one model.
    given = {model.folder for model in others}
    return [*others, *(model for model in chosen if model.folder not in given)]


def _check_method_files(given: Sequence[str]) -> None:
    """Raises InputError for a method of the user's own whose file is not there."""
    for name in given:
        file = users_method(name)
        if file is None or not Path(file[0]).is_file():
            raise InputError(
                f"--method_files {name}: there is no such file; give path/to/file.py:ClassName"
            )


def _with_window(models: list[SavedModel], window: Window, data: Corpus) -> list[SavedModel]:
    """The models with the seconds of their encoders' windows, where they have any."""
    if window == "full" or not all(model.has_window() for model in models):
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
    content = read_json(path)
    try:
        counts = Counter(str(problem["reason"]) for problem in content["problems"])
        return {"checked": content["checked"], "kept": content["kept"], "left_out": dict(counts)}
    except (LookupError, TypeError) as error:
        raise InputError(
            f"{path} is not what data preparation wrote ({type(error).__name__}: {error}); "
            "prepare the data again, or remove the file"
        ) from error
