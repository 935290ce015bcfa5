"""Whether utterances have targets that a model can be trained on and evaluated against."""

from collections.abc import Sequence

from tqdm import tqdm

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import PARTS
from asr_unlearn.models.inference import with_known_labels
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime.errors import InputError

NAMED = 10


def check_targets(task: Task, utterances: Sequence[Utterance], fastest: float = 1.0) -> None:
    """Raises ValueError, naming them, if utterances have no target: none is silently left out.

    Nor may a target be longer than its utterance has room for when it is played `fastest` times
    as fast, or the right answer be nothing.
    """
    bar = tqdm(utterances, desc="checking targets", unit="utt", delay=2, leave=False)
    problems = [problem for utterance in bar if (problem := _problem(task, utterance, fastest))]
    if len(problems) > NAMED:
        problems[NAMED:] = [f"and {len(problems) - NAMED} more"]
    if problems:
        raise InputError("\n".join(problems))


def _problem(task: Task, utterance: Utterance, fastest: float) -> str | None:
    """Why an utterance cannot be asked, by what the manifest says of it."""
    try:
        target = task.target(utterance)
    except ValueError as error:
        return str(error)
    if not task.fits(target, round(utterance.seconds * SAMPLE_RATE / fastest)):
        sped = "" if fastest == 1 else f", {fastest:g} times as fast,"
        return (
            f"utterance {utterance.id}: {utterance.seconds:.2f} s of audio{sped} have no room for "
            f"the {len(target)} labels of {utterance.text!r}"
        )
    if not task.reference(utterance).strip():
        return f"utterance {utterance.id}: nothing of {utterance.text!r} is left to be compared"
    return None


def check_parts(task: Task, corpus: Corpus, parts: Sequence[str], fastest: float = 1.0) -> None:
    """Raises ValueError if the model cannot be asked of `parts`, or of what it is evaluated on.

    Better now than when all training is done.
    """
    others = corpus.part(*(part for part in PARTS if part not in parts))
    check_targets(task, corpus.part(*parts), fastest)
    check_targets(task, with_known_labels(task, others))
