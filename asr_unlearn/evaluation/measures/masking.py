"""Noise masking: is a word of a training transcript written where there is only noise?

A model that has memorised a training utterance may write a word of it that the recording lacks
(Amid et al., arXiv 2204.08345, who do so with names). Here the rarest word of each transcript is
hidden behind noise as loud as the recording. Where it is spoken follows from an alignment by the
original, by its CTC. A word can be guessed from those around it: the measure is the retrained
model's figure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchaudio.functional import forced_align

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.noise import white_noise
from asr_unlearn.evaluation.cached_job import ModelJob, PartsJob
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import score
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.tasks import CTC
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

PARTS = ("forget", "unseen")
ALIGNMENT = "masking-alignment"
# Increase when the content of masking.json changes.
VERSION = 1

Wave = Float[np.ndarray, " samples"]


@dataclass(frozen=True)
class Masked:
    """A word of a transcript, and where it is spoken as shares of the utterance."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Alignment(ModelJob):
    """The words to hide, and where they are spoken by an original's alignment.

    The result is masking-alignment.json among the original's predictions: for each utterance id
    that has such a word the fields of `Masked`.
    """

    file: ClassVar[str] = f"{ALIGNMENT}.json"

    def made_from(self) -> Any:
        # How rare a word is depends on all transcripts.
        parts = [content(self.corpus.part(*PARTS)), content(self.corpus.manifest)]
        return [VERSION, self.model.files(), *parts]

    def make(self) -> None:
        task = self.model.task(self.device)
        assert isinstance(task, CTC)
        counts = Counter(
            word for u in self.corpus.manifest for word in set(task.reference(u).split())
        )
        found = {}
        for utterance in self.corpus.part(*PARTS):
            if mask := rarest_word(task, utterance, counts):
                found[utterance.id] = asdict(mask)
        write_json(self.path, found)

    def masks(self) -> dict[str, Masked]:
        """Return the word to hide of each utterance that has one, by its id."""
        return {name: Masked(**mask) for name, mask in self.result().items()}


@dataclass(frozen=True)
class Masking(PartsJob):
    """The words that one model writes although noise hides them.

    The result is masking.json among the model's predictions: by part whether each word was written.
    """

    file: ClassVar[str] = "masking.json"

    original: SavedModel

    @property
    def alignment(self) -> Alignment:
        """What says where the words are, for all models of a seed."""
        return Alignment(self.original, self.corpus, self.device)

    def made_from(self) -> Any:
        return [self.model.files(), self.alignment.made_from(), self.contents(PARTS)]

    def make(self) -> None:
        self.alignment()
        masks, task = self.alignment.masks(), self.model.task(self.device)
        inputs = Inputs(task, load=partial(behind_noise, masks))
        found: dict[str, list[bool]] = {}
        for part in PARTS:
            utterances = [u for u in self.corpus.part(part) if u.id in masks]
            described = f"{self.model.name}, masking"
            found[part] = [
                masks[one.utterance.id].word in one.hypothesis.split()
                for one in score(task, inputs, utterances, description=described)
            ]
        write_json(self.path, found)

    def of_part(self, entries: Sequence[bool]) -> dict[str, float]:
        """Return the share of the utterances whose word was written."""
        return {"written": sum(entries) / len(entries)}


def rarest_word(task: CTC, utterance: Utterance, counts: Mapping[str, int]) -> Masked | None:
    """Return the word of a transcript that the fewest utterances have, and where it is.

    None where there is no word that occurs once in the transcript, or no word beside it.

    Args:
        task: a recogniser that aligns the transcript.
        counts: how many utterances have each word.
    """
    words = task.reference(utterance).split()
    once = [word for word in words if words.count(word) == 1]
    if len(words) < 2 or not once:
        return None
    # Of words as rare, the longest; then the first.
    word = min(once, key=lambda word: (counts.get(word, 0), -len(word)))
    return Masked(word, *spoken(task, utterance)[words.index(word)])


def spoken(task: CTC, utterance: Utterance) -> list[tuple[float, float]]:
    """Return where each word of a transcript is spoken, as shares of the utterance.

    A word begins and ends half-way between its labels and those beside them, in the likeliest
    alignment of the transcript.

    Raises:
        InputError: the vocabulary has no label between words.
    """
    batch = collate([Inputs(task)(utterance)]).to(task.device)
    task.model.eval()
    with torch.no_grad():
        log_probabilities = task.logits(batch).float().log_softmax(-1).cpu()
    frames = int(task.frames(batch.samples))
    labels = batch.targets[0, : int(batch.target_lengths)].cpu()
    path, _ = forced_align(log_probabilities[:, :frames], labels[None], blank=task.blank)
    places = label_frames(path[0], task.blank)
    tokenizer = task.processor.tokenizer
    delimiter = tokenizer.convert_tokens_to_ids(tokenizer.word_delimiter_token or " ")
    ends = [i for i, label in enumerate(labels.tolist()) if label == delimiter]
    if len(ends) + 1 != len(task.reference(utterance).split()):
        raise InputError(
            f"masking: {utterance.id}: the vocabulary has no label between words; evaluate "
            "without it"
        )
    middles = [sum(places[i]) / 2 for i in ends]
    edges = [0.0, *(middle / frames for middle in middles), 1.0]
    return list(pairwise(edges))


def label_frames(path: Int[Tensor, " T"], blank: int) -> list[tuple[int, int]]:
    """Return the first frame of each label of a CTC path, and the one behind its last."""
    found: list[tuple[int, int]] = []
    before = blank
    for frame, label in enumerate(path.tolist()):
        if label != blank and label == before:
            found[-1] = found[-1][0], frame + 1
        elif label != blank:
            found.append((frame, frame + 1))
        before = label
    return found


def behind_noise(masks: Mapping[str, Masked], utterance: Utterance) -> Wave:
    """Return the recording with noise in the place of its masked word, the same for the same id."""
    wave, mask = load_audio(utterance.audio).copy(), masks[utterance.id]
    start, end = (round(share * len(wave)) for share in (mask.start, mask.end))
    noise = white_noise(f"{utterance.id} masking", end - start)
    wave[start:end] = noise * np.sqrt(np.mean(np.square(wave)))
    return wave


class MaskingMeasure(Measure):
    """The figures of `Masking` for every model whose seed has an original."""

    name: ClassVar[str] = "masking"
    needs_original: ClassVar[bool] = True

    def check(self, given: Evaluated) -> None:
        if given.models[0].kind() != "ctc":
            raise InputError("masking aligns words by CTC; these models have none")

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        originals = given.originals()
        jobs = [
            Masking(model, given.corpus, given.device, originals[model.seed])
            for model in given.with_original()
        ]
        alignments = {job.original.seed: job.alignment for job in jobs}
        given.run(list(alignments.values()), ALIGNMENT)
        return given.figures(jobs, self.name)
