"""Search the options of a method."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from asr_unlearn.api.arguments import PositiveInt, Seed
from asr_unlearn.api.inputs import read_corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import PARTS, Part
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.registry import name_of
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra
from asr_unlearn.runtime.io import naming
from asr_unlearn.runtime.outputs import check_file
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import with_reference_model
from asr_unlearn.training.trained_weights import TrainedWeights
from asr_unlearn.training.unlearn import PARTS_USED, original_task

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Search:
    """A finished search.

    Attributes:
        method: name of the method.
        options: the best ones, with those that were fixed.
        stop: the stop rule of the trials.
        trials: the complete trials, the best first.
    """

    method: str
    options: Mapping[str, Any]
    stop: Stop
    trials: "tuple[FrozenTrial, ...]"

    def flags(self) -> list[str]:
        """The flags of `asr-unlearn unlearn` for the best options."""
        stop = {k: v for k, v in asdict(self.stop).items() if v != getattr(Stop(), k)}
        words = ["--method", self.method]
        for prefix, settings in (("--method.", self.options), ("--stop.", stop)):
            for name, value in settings.items():
                text = str(value).lower() if isinstance(value, bool) else str(value)
                words += [f"{prefix}{name}", text]
        return words


def tune(
    manifest: Path | str,
    split: Path | str,
    model: Path | str,
    out: str | Path,
    *,
    method: Method,
    fixed: tuple[str, ...] = (),
    trials: PositiveInt = 20,
    stop: Stop = Stop(),  # noqa: B008
    seed: Seed = 0,
    device: Device = "auto",
    freeze_front_end: bool = True,
) -> Search:
    """Search a method's options on forget, retain and unseen utterances only.

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        model: folder of the model that was trained on the forget speakers.
        out: journal of the search, from which an interrupted search is resumed; or URL of a
            database, such as postgresql://me@host/trials, which several processes may search with
            at the same time.
        method: the method; its options that are not searched are taken from it.
        fixed: names of options that are not searched; on the command line those that are given.
        trials: complete unlearning runs.
        stop: when a run ends.
        seed: of the search and of the order of the batches.
        device: auto, cpu or cuda.
        freeze_front_end: leave the convolutional front end as it is.

    Returns:
        The best options, and all complete trials.

    Raises:
        InputError: something that cannot be used, or no trial was completed.
    """
    need_extra("tune", "the search for options")
    from asr_unlearn.training.trial_storage import is_database
    from asr_unlearn.training.tune import TuningProblem, ranked
    from asr_unlearn.training.tune import tune as search_options

    read = (manifest, split, model, stop.reference_model)
    file = None if is_database(out) else Path(out)
    if file is not None:
        # The first line of a journal of optuna's.
        check_file(file, *(Path(path) for path in read if path), keys=("op_code", "worker_id"))
    name = name_of(method)
    kept = {option: getattr(method, option) for option in fixed}
    with TemporaryDirectory() as elsewhere:
        # A database has no folder for a cache beside it.
        corpus = read_corpus(manifest, split, file or Path(elsewhere) / "trials")
        stop = with_reference_model(stop, corpus.split)
        trained = TrainedWeights(front_end=not freeze_front_end)
        task = original_task(Path(model), pick_device(device), trained)
        set_window(task, "auto", corpus.part(*PARTS))
        choose_spelling(task, corpus.part("retain"))
        inputs = Inputs(task, feature_cache=corpus.features)
        given: dict[Part, list[Utterance]] = {part: corpus.part(part) for part in PARTS_USED}
        problem = TuningProblem(task, inputs, given, stop, seed)
        # Optuna's errors on a full disk name no file.
        with nullcontext() if file is None else naming(file):
            search = search_options(problem, name, kept, trials=trials, journal=file or str(out))
    found = search.trials
    best = ranked(found)
    if not best:
        raise InputError(f"no trial of {name} ended with a figure; see {out}")
    return Search(name, {**best[0].params, **kept}, stop, tuple(best))
