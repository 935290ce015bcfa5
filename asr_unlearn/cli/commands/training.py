"""`asr-unlearn split`, `train`, `unlearn`, `tune` and `methods`; flags are the signatures below."""

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from jsonargparse.typing import PositiveInt
from rich.console import Console

from asr_unlearn.cli.arguments import Seed, parts_of
from asr_unlearn.cli.recipe import flags
from asr_unlearn.cli.tables import methods_listing, trials_table
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.forget_list import read_names
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.data.split import (
    PARTS,
    Part,
    draw_speakers,
    make_label_split,
    make_split,
    write_split,
)
from asr_unlearn.methods import METHODS
from asr_unlearn.methods.registry import make_method, parse_assignments
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.tasks.from_scratch import TrainingAids
from asr_unlearn.models.tasks.transcript_spelling import Asked, choose_spelling
from asr_unlearn.models.tasks.window import Window, set_window
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.cache import cache_folder
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra
from asr_unlearn.runtime.io import naming
from asr_unlearn.runtime.outputs import check_file, check_folder
from asr_unlearn.runtime.text import normal_name
from asr_unlearn.training.finetune import Setup, train_model
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import check_reference_model
from asr_unlearn.training.unlearn import PARTS_USED, original_task, unlearn_model


def split(
    manifest: Path,
    out: Path,
    forget: Path | None = None,
    forget_count: PositiveInt = 1,
    forget_labels: str = "",
    seed: Seed = 0,
    heldout: float = 0.1,
    unseen: float = 0.1,
    test: float = 0.1,
) -> None:
    """Divide a corpus for a deletion request.

    Example: asr-unlearn split --manifest out/manifest.jsonl --forget forget.txt
    --out out/split.json

    Args:
        manifest: manifest.jsonl of the corpus.
        out: split.json to write.
        forget: text file with a speaker id a line, `#` before a comment; without it, speakers are
            drawn and printed.
        forget_count: how many to draw.
        forget_labels: labels to forget in place of speakers, such as keywords: with commas, or a
            text file with one a line.
        seed: of every draw.
        heldout: share of the utterances to forget that is never trained on.
        unseen: share of the other speakers that is never trained on, where the corpus has no
            development set of its own.
        test: the same for a test part.
    """
    # Path.is_file raises for what is too long to be a file's name.
    listed = Path(forget_labels) if os.path.isfile(forget_labels) else None  # noqa: PTH113
    check_file(out, manifest, *(path for path in (forget, listed) if path))
    utterances = read_manifest(manifest)
    shares = {"heldout": heldout, "unseen": unseen, "test": test}
    if forget and forget_labels:
        raise InputError("--forget and --forget_labels: one request at a time")
    if forget_labels:
        if listed:
            labels = read_names(listed, {u.label for u in utterances if u.label})
        else:
            labels = [name for word in forget_labels.split(",") if (name := normal_name(word))]
        made = make_label_split(utterances, labels, seed=seed, **shares)
    else:
        if forget:
            speakers = read_names(forget, {u.speaker for u in utterances})
        else:
            speakers = draw_speakers(utterances, forget_count, seed)
        made = make_split(utterances, speakers, seed=seed, **shares)
    write_split(out, made, manifest)
    print(f"to forget: {' '.join(made.forget_speakers or made.forget_labels)}")
    print(", ".join(f"{part} {len(ids)}" for part, ids in made.parts.items()), "utterances")


def train(
    manifest: Path,
    split: Path,
    model: str,
    out: Path,
    parts: str = "retain,forget",
    set: str = "",
    seed: Seed = 0,
    device: Device = "auto",
    freeze_front_end: bool | None = None,
    filterbank: bool = False,
    augmented: bool = False,
    speeds: tuple[float, ...] = (1.0,),
    crop_seconds: float = 0.0,
    task: TaskName | None = None,
    language: str | None = None,
    spelling: Asked = "auto",
    auxiliary_ctc: float = 0.0,
    token_noise: float = 0.0,
    joined: float = 0.0,
    window: Window = "auto",
) -> None:
    """Fine-tune a model, or train it from scratch; retraining is the same without `forget`.

    Example: asr-unlearn train --manifest out/manifest.jsonl --split out/split.json
    --model facebook/wav2vec2-base --parts retain --out out/retrained --set epochs=20,lr=1e-4

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        model: Hugging Face name, local folder, or a config.json to train from scratch.
        out: folder to publish the model at; what stands there is kept as out.old-N.
        parts: parts to train on, with commas.
        set: options of `finetune`, as key=value, with commas; may be given again.
        seed: of the weights, the order and the dropout.
        device: auto, cpu or cuda.
        freeze_front_end: keep the convolutional front end as it is; by default when it has
            been trained before.
        filterbank: start the first convolution as a bank of band-pass filters.
        augmented: random polarity and shift of the waves.
        speeds: at which the waves are heard, one drawn each time, such as [0.9, 1, 1.1].
        crop_seconds: length of the random pieces of utterances to train on; 0 takes them whole.
        task: what to train for; by default what the model was made for. A class is an utterance's
            label, or its speaker where it has none.
        language: of a multilingual Whisper; English unless it has been told another before.
        spelling: of a Whisper's transcripts: as_given, lower or upper; auto is what the model
            itself writes, by its loss on a few utterances.
        auxiliary_ctc: for a Whisper from scratch: share of a CTC loss on its encoder in the loss.
        token_noise: for a Whisper from scratch: share of random tokens among its decoder's inputs.
        joined: for a Whisper from scratch: probability that an utterance is followed by another.
        window: of a Whisper's encoder while it is trained: auto for the longest utterance rounded
            up to whole seconds; full for the model's own, 30 s in OpenAI's; or seconds. What is
            saved has its own.
    """
    check_folder(out)
    chosen = parts_of(parts)
    outcome = train_model(
        Corpus.read(manifest, split, cache_folder(out)),
        model,
        make_method("finetune", parse_assignments(set)),
        out,
        parts=chosen,
        seed=seed,
        device=distributed.join(pick_device(device)),
        setup=Setup(
            task=task,
            language=language,
            spelling=spelling,
            filterbank=filterbank,
            augmented=augmented,
            speeds=speeds,
            crop_seconds=crop_seconds,
            front_end_frozen=freeze_front_end,
            aids=TrainingAids(ctc=auxiliary_ctc, token_noise=token_noise, joined=joined),
            window=window,
        ),
    )
    if distributed.is_first():
        print(f"{out}: {outcome.steps} steps, {outcome.seconds:.0f} s")


def unlearn(
    manifest: Path,
    split: Path,
    model: Path,
    out: Path,
    method: str = "orthograd_tau",
    set: str = "",
    stop: Stop = Stop(),  # noqa: B008
    seed: Seed = 0,
    device: Device = "auto",
    freeze_front_end: bool = True,
    window: Window = "auto",
    spelling: Asked = "auto",
) -> None:
    """Make a model forget the speakers of the split's forget part.

    Example: asr-unlearn unlearn --manifest out/manifest.jsonl --split out/split.json
    --model out/original --method orthograd --out out/orthograd --set alpha=0.3

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        model: folder of the model that has met them.
        out: folder to publish the result at; what stands there is kept as out.old-N.
        method: a name from `asr-unlearn methods`, or path/to/file.py:ClassName.
        set: options of the method, as key=value, with commas; may be given again.
        stop: when to end.
        seed: of the order of the batches.
        device: auto, cpu or cuda.
        freeze_front_end: leave the convolutional front end as it is.
        window: of a Whisper's encoder (see `train`).
        spelling: of a Whisper's transcripts: as_given, lower or upper; auto is what the model
            itself writes, by its loss on a few utterances, unless that has been recorded.
    """
    check_folder(out)
    outcome = unlearn_model(
        Corpus.read(manifest, split, cache_folder(out)),
        model,
        make_method(method, parse_assignments(set)),
        out,
        seed=seed,
        device=distributed.join(pick_device(device)),
        stop=stop,
        freeze_front_end=freeze_front_end,
        window=window,
        spelling=spelling,
    )
    if distributed.is_first():
        print(f"{out}: {outcome.steps} steps, {outcome.seconds:.0f} s, {outcome.stopped}")
        if outcome.warning:
            print(f"{out}: WARNING: {outcome.warning}", file=sys.stderr)


def tune(
    manifest: Path,
    split: Path,
    model: Path,
    out: Path,
    method: str = "orthograd_tau",
    trials: PositiveInt = 20,
    set: str = "",
    stop: Stop = Stop(),  # noqa: B008
    seed: Seed = 0,
    device: Device = "auto",
    freeze_front_end: bool = True,
) -> None:
    """Search a method's options, looking at forget, retain and unseen utterances only.

    Example: asr-unlearn tune --manifest out/manifest.jsonl --split out/split.json
    --model out/original --method neggrad_plus --trials 20 --out out/tune.journal

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        model: folder of the model that has met the forget speakers.
        out: journal of the search; a search that was killed is taken up from it.
        method: a name from `asr-unlearn methods`, or path/to/file.py:ClassName.
        trials: complete unlearning runs.
        set: options of the method that are not searched, as key=value, with commas; may be
            given again.
        stop: when a run ends.
        seed: of the search and of the order of the batches.
        device: auto, cpu or cuda.
        freeze_front_end: leave the convolutional front end as it is.
    """
    need_extra("tune", "the search for options")
    from asr_unlearn.training.tune import TuningProblem, ranked
    from asr_unlearn.training.tune import tune as search_options

    check_file(out)
    fixed = parse_assignments(set)
    make_method(method, fixed)
    corpus = Corpus.read(manifest, split, cache_folder(out))
    if stop.reference_model is not None:
        check_reference_model(stop.reference_model, corpus.split)
    task = original_task(model, pick_device(device), freeze_front_end)
    set_window(task, "auto", corpus.part(*PARTS))
    choose_spelling(task, corpus.part("retain"))
    inputs = Inputs(task, feature_cache=corpus.features)
    given: dict[Part, list[Utterance]] = {part: corpus.part(part) for part in PARTS_USED}
    bench = TuningProblem(task, inputs, given, stop, seed)
    # Optuna's errors on a full disk name no file.
    with naming(out):
        best = ranked(search_options(bench, method, fixed, trials=trials, journal=out).trials)
    if not best:
        raise InputError(f"no trial of {method} ended with a figure; see {out}")
    Console().print(trials_table(best[:10]))
    chosen = {**best[0].params, **fixed}
    given_stop = {k: v for k, v in asdict(stop).items() if v != getattr(Stop(), k)}
    settings = ",".join(f"{k}={v}" for k, v in chosen.items())
    print(shlex.join(["--method", method, *flags(given_stop, "--stop."), "--set", settings]))


def methods() -> None:
    """List the methods with their papers, what data they need, and their options.

    Example: asr-unlearn methods
    """
    Console().print(methods_listing(METHODS), highlight=False)
