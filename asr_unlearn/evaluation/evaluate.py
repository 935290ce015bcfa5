"""Evaluates saved models: every figure of results.json is computed from here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.membership import Attackers, membership
from asr_unlearn.evaluation.attacks.neighbours import neighbours
from asr_unlearn.evaluation.compared_models import (
    check_models,
    relative_folder,
)
from asr_unlearn.evaluation.cost import cost_of
from asr_unlearn.evaluation.error_rates import (
    confusion_on_test,
    figures_by_part,
    gap_intervals,
    overlong_transcripts,
)
from asr_unlearn.evaluation.gap_to_retrained import add_gum, divergence_from_retrained
from asr_unlearn.evaluation.jobs import Workers, run_jobs
from asr_unlearn.evaluation.layer_similarity import LayerSimilarity
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.measures.registry import check_measures
from asr_unlearn.evaluation.predictions import Row, Transcription, is_transcribed, transcribe
from asr_unlearn.evaluation.results import RETRAINED, SCHEMA, Model, models_of, write_results
from asr_unlearn.evaluation.speaker_probe import probe_speakers
from asr_unlearn.evaluation.speaker_verification import Judge, Trials, names_speakers, verification
from asr_unlearn.metrics.gap import gap
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.targets import check_targets_of_all
from asr_unlearn.runtime.cache import cache_folder, predictions_folder
from asr_unlearn.runtime.launch import launched, launched_share
from asr_unlearn.runtime.provenance import invocation, versions


@dataclass(frozen=True)
class Evaluation:
    """The figures of an evaluation.

    Attributes:
        results: the content of results.json (see results.schema.json).
        models: the evaluated models, each with its figures: `model.figure("wer", "forget")`.
        path: the results.json, once it is written.
    """

    results: Mapping[str, Any]
    models: tuple[Model, ...]
    path: Path | None = None

    def write(self, path: Path) -> "Evaluation":
        """Write results.json; returns the evaluation with its path.

        Raises:
            ResultsError: the figures do not fit the schema; nothing is written.
        """
        write_results(path, self.results)
        return replace(self, path=path)


@dataclass(frozen=True)
class _Inputs:
    """What the figures are computed from, by name and seed of the models."""

    given: Evaluated
    models: Mapping[Key, SavedModel]
    runs: Mapping[Key, Mapping[str, Any]]
    figures: Mapping[Key, dict[str, Any]]
    attackers: Attackers
    nearby: Mapping[Key, Mapping[str, Sequence[float]]]
    measured: Sequence[Mapping[Key, Entry]]
    layers: LayerSimilarity
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
    measures: Sequence[Measure] = (),
    workers: Workers = Workers(),  # noqa: B008
    trials: Path | None = None,
    judge: Path | None = None,
) -> Evaluation | None:
    """Evaluate saved models of one task on all parts of a split.

    Of several launched processes each does a share of the transcribing and of the attacks' work;
    the first one returns the figures, the others None.

    The model named "retrained" of the same seed is what gaps and relative costs are measured
    against; without it they are absent.

    Args:
        root: folder that results.json is to be written in; all models are under it.
        corpus: name of the corpus, for the report.
        left_out: what data preparation left out: "checked", "kept", "left_out"; may be empty.
        beams: beam width of a decoder; 1 is greedy search.
        budget: the attacks that are wanted.
        measures: what else is.
        workers: where models are transcribed, attacked and measured.
        trials: the corpus' own list of speaker verification trials, for speaker classifiers.
        judge: output folder of speaker classifiers that were trained and unlearned on this split.

    Raises:
        InputError: an unlearned model's weights are not those of its run.json; a model has no
            target for some utterances; the models have different tasks, two have the same name and
            seed, or one is not under `root`; an attack or measure cannot be made of them; or the
            model called retrained was trained on the forget speakers.
    """
    check_models(models, split, root)
    data = Corpus(list(manifest), split, cache_folder(root / "results.json"))
    trained = data.part("retain") or data.part("forget")
    models = [
        replace(m, cache=predictions_folder(m.folder, root)).spelled(trained, device)
        for m in models
    ]
    attackers = Attackers.of(models, data, root, budget, device=device, beams=beams)
    # All models have one task: trials are for speaker classifiers, a judge is for the others.
    own_trials = Trials.of(data, trials) if names_speakers(models[0], manifest) else None
    own_judge = Judge.at(judge, data, root) if judge else None
    given = Evaluated(models, data, root, workers, device, beams=beams)
    check_measures(measures, given)
    given = replace(given, rows=_transcribed(given))
    attackers.train(root, workers.trainings(device))
    nearby = neighbours(models, data, root, workers, device=device) if budget.neighbours else {}
    inputs = _Inputs(
        given=given,
        models={m.key: m for m in models},
        runs={m.key: m.run() for m in models},
        figures={key: figures_by_part(own) for key, own in given.rows.items()},
        attackers=attackers,
        nearby=nearby,
        measured=[measure.entries(given) for measure in measures],
        layers=LayerSimilarity(data, device),
        trials=own_trials,
        judge=own_judge,
    )
    if launched_share().rank:
        return None
    entries = [_entry(model, inputs) for model in models]
    add_gum(entries)
    results = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "command": invocation(),
        "task": models[0].kind(),
        "beams": beams,
        **({} if models[0].window is None else {"window": models[0].window}),
        "corpus": corpus,
        "data": dict(left_out),
        "split": _split_summary(data),
        "models": entries,
    }
    return Evaluation(results, models_of(results, root))


def _transcribed(given: Evaluated) -> dict[Key, list[Row]]:
    """The rows of every model; those that are not kept are computed, side by side if wanted."""
    manifest, split, device = given.corpus.manifest, given.corpus.split, given.device
    beams, models = given.beams, given.models
    untranscribed = [m for m in models if not is_transcribed(m, manifest, split, beams=beams)]
    check_targets_of_all(untranscribed, given.corpus.part(*PARTS))
    runner = given.workers.transcriptions(device)
    if launched() or not runner.is_this_process:
        jobs = [Transcription(m, manifest, split, device, beams) for m in models]
        run_jobs(jobs, runner, given.root / "transcription.log", "transcribing")
    return {m.key: transcribe(m, manifest, split, device=device, beams=beams) for m in models}


def _split_summary(corpus: Corpus) -> dict[str, Any]:
    """Who is forgotten; utterances, seconds and speakers of every part, and how many of these
    are retain speakers."""
    split = corpus.split
    parts = {part: corpus.part(part) for part in PARTS if part in split.parts}
    retained = {u.speaker for u in corpus.part("retain")}
    return {
        "seed": split.seed,
        "forget_speakers": list(split.forget_speakers),
        **({"forget_labels": list(split.forget_labels)} if split.forget_labels else {}),
        "parts": {
            part: {
                "utterances": len(utterances),
                "seconds": round(sum(u.seconds for u in utterances), 2),
                "speakers": len(speakers := {u.speaker for u in utterances}),
                "retain_speakers": len(speakers & retained),
            }
            for part, utterances in parts.items()
        },
    }


def _entry(model: SavedModel, inputs: _Inputs) -> dict[str, Any]:
    """The entry of one model in results.json."""
    key, retrained_key = model.key, (RETRAINED, model.seed)
    given, rows = inputs.given, inputs.given.rows
    corpus, device = given.corpus, given.device
    entry: dict[str, Any] = {
        "name": model.name,
        "seed": model.seed,
        "path": str(relative_folder(model.folder, given.root)),
        **cost_of(inputs.runs[key], inputs.runs.get(retrained_key, {})),
        **inputs.figures[key],
        **confusion_on_test(rows[key]),
        **overlong_transcripts(rows[key]),
    }
    attacked = membership(
        model, rows[key], inputs.attackers, inputs.nearby.get(key), rows.get(retrained_key)
    )
    entry["membership"], entry["ci95"]["membership"] = attacked.figures, attacked.intervals
    if attacked.speakers:
        entry["speaker_membership"] = attacked.speakers
    if attacked.unlearned_shadows:
        entry["unlearned_shadows"] = attacked.unlearned_shadows
    for measured in inputs.measured:
        own = measured.get(key, {})
        entry["ci95"] |= own.get("ci95", {})
        entry |= {name: figure for name, figure in own.items() if name != "ci95"}
    speaker_id, intervals = probe_speakers(model, corpus, device=device)
    if speaker_id:
        entry["ci95"]["speaker_id"] = intervals
    if inputs.trials:
        entry["verification"] = verification(model, corpus, inputs.trials, device=device)
    elif inputs.judge:
        speaker_id |= inputs.judge.figures(model, device=device)
    if speaker_id:
        entry["speaker_id"] = speaker_id
    if retrained := inputs.models.get(retrained_key):
        entry["gap_to_retrained"] = gap(inputs.figures[key], inputs.figures[retrained_key])
        entry["gap_ci95"] = gap_intervals(rows[key], rows[retrained_key])
        pair = {"retrained": rows[retrained_key], "model": rows[key]}
        entry["divergence"] = divergence_from_retrained(
            retrained, model, pair, corpus, device=device
        )
        if layers := inputs.layers.of(retrained, model):
            entry["cka"] = layers
    return entry
