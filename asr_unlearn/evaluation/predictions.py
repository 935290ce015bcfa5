"""Predictions of saved models, cached on disk: transcripts, encoder states, divergences.

A file is made again when the weights, the model's settings or the utterances have changed, or the
file itself.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.batching import Batch, by_length, collate
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.metrics.divergence import divergences
from asr_unlearn.metrics.wer import count_errors
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import Score, in_batches, score, together, with_known_labels
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks import Classification, Task
from asr_unlearn.runtime.cache import Cached, cached
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.progress import Bar

logger = logging.getLogger(__name__)

Row = dict[str, Any]
# Versions of what is cached: utterances.jsonl, and states.npz and embeddings.npz.
ROWS, VECTORS = 4, 2
TRANSCRIPTS = "utterances.jsonl"


def transcribe(
    saved: SavedModel,
    manifest: Sequence[Utterance],
    split: Split,
    *,
    device: torch.device,
    beams: int = 1,
    parts: Sequence[str] = PARTS,
) -> list[Row]:
    """Return the loss and transcript of every utterance of these parts, one row each.

    The rows are cached in utterances.jsonl among the model's predictions. Utterances of a class
    that a classifier does not have are left out, with a warning.
    """
    part_of, utterances = _parts_of(manifest, split, parts)
    entry = _transcripts(saved, part_of, utterances, beams)
    if not entry.is_current:
        task = saved.task(device, beams=beams)
        known = with_known_labels(task, utterances)
        wanted, evaluated = (Counter(part_of[u.id] for u in us) for us in (utterances, known))
        for part, count in (wanted - evaluated).items():
            logger.warning(
                "%s has no class for %d of %d utterances of %s: they are not evaluated",
                *(saved.name, count, wanted[part], part),
            )
        scored = score(task, Inputs(task), known, description=saved.name)
        rows = [_row(part_of[one.utterance.id], one) for one in scored]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with entry.write() as partial:
            partial.write_text(lines, encoding="utf-8")
    # Not splitlines: a transcript may hold what Unicode takes for the end of a line.
    lines = entry.path.read_text(encoding="utf-8")
    return [json.loads(line) for line in lines.split("\n") if line]


@dataclass(frozen=True)
class Transcription:
    """`transcribe` of all parts as a job for another process."""

    saved: SavedModel
    manifest: Sequence[Utterance]
    split: Split
    device: torch.device
    beams: int

    def __call__(self) -> None:
        transcribe(self.saved, self.manifest, self.split, device=self.device, beams=self.beams)

    def is_done(self) -> bool:
        return is_transcribed(self.saved, self.manifest, self.split, beams=self.beams)


def is_transcribed(
    saved: SavedModel, manifest: Sequence[Utterance], split: Split, *, beams: int = 1
) -> bool:
    """Whether `transcribe` of all parts finds everything in the cache."""
    return _transcripts(saved, *_parts_of(manifest, split, PARTS), beams).is_current


def _parts_of(
    manifest: Sequence[Utterance], split: Split, parts: Sequence[str]
) -> tuple[dict[str, str], list[Utterance]]:
    """The part of each utterance id of these parts, and their utterances."""
    part_of = {name: part for part in parts for name in split.parts.get(part, ())}
    return part_of, [u for u in manifest if u.id in part_of]


def _transcripts(
    saved: SavedModel, part_of: Mapping[str, str], utterances: Sequence[Utterance], beams: int
) -> Cached:
    made_from = [ROWS, saved.files(), part_of, content(utterances), beams]
    return cached(saved.predictions / TRANSCRIPTS, made_from)


def classified(rows: Sequence[Row]) -> bool:
    """Whether the rows are of a classifier: each is right or wrong as a whole."""
    return any("errors" in r for r in rows)


def _row(part: str, scored: Score) -> Row:
    """One line of utterances.jsonl."""
    utterance = scored.utterance
    row: Row = {
        "id": utterance.id,
        "part": part,
        "speaker": utterance.speaker,
        "seconds": utterance.seconds,
        "reference": scored.reference,
        "hypothesis": scored.hypothesis,
        "loss": scored.loss,
        "confidence": scored.confidence,
        "entropy": scored.entropy,
    }
    words, characters = scored.errors("word"), scored.errors("character")
    if scored.one_label:
        return {**row, "errors": words.errors}
    row |= {
        "word_errors": words.errors,
        "words": words.length,
        "character_errors": characters.errors,
        "characters": characters.length,
    }
    if scored.raw is not None:
        hypothesis, reference = scored.raw
        raw = count_errors(reference, hypothesis, "word")
        row |= {
            "raw_reference": reference,
            "raw_hypothesis": hypothesis,
            "raw_word_errors": raw.errors,
            "raw_words": raw.length,
        }
    return row


def mean_states(
    saved: SavedModel,
    utterances: Sequence[Utterance],
    *,
    device: torch.device,
) -> Float[np.ndarray, "N C"]:
    """Return the encoder's states, averaged over each utterance; cached in states.npz."""

    def mean(task: Task, batch: Batch) -> Float[Tensor, "B C"]:
        states, true = task.states(batch)
        return (states * true[..., None]).sum(1) / true.sum(1, keepdim=True)

    return _vectors(saved, utterances, "states", mean, device)


def embeddings(
    saved: SavedModel,
    utterances: Sequence[Utterance],
    *,
    device: torch.device,
) -> Float[np.ndarray, "N C"]:
    """Return the input of a classifier's last layer for each utterance; cached in embeddings.npz.

    Raises:
        InputError: the model is not a classifier.
    """

    def embedding(task: Task, batch: Batch) -> Float[Tensor, "B C"]:
        if not isinstance(task, Classification):
            raise InputError(f"{saved.folder} is not a classifier: it has no embeddings")
        return task.embeddings(batch)

    return _vectors(saved, utterances, "embeddings", embedding, device)


def _vectors(
    saved: SavedModel,
    utterances: Sequence[Utterance],
    name: str,
    of: Callable[[Task, Batch], Float[Tensor, "B C"]],
    device: torch.device,
) -> Float[np.ndarray, "N C"]:
    """One vector per utterance, cached in NAME.npz among the model's predictions."""
    made_from = [VECTORS, saved.files(), content(utterances)]
    entry = cached(saved.predictions / f"{name}.npz", made_from)
    if not entry.is_current:
        task = saved.task(device)
        inputs = Inputs(task, targets=False)
        found: dict[str, Float[np.ndarray, " C"]] = {}
        for group, vectors in in_batches(
            lambda batch: of(task, batch).float().cpu().numpy(),
            task,
            inputs,
            utterances,
            f"{saved.name}, {name}",
        ):
            found.update(zip([u.id for u in group], vectors, strict=True))
        with entry.write() as partial, partial.open("wb") as file:
            np.savez(file, vectors=np.stack([found[u.id] for u in utterances]))
    with np.load(entry.path) as stored:
        vectors_of_all: Float[np.ndarray, "N C"] = stored["vectors"]
    return vectors_of_all


def divergence(
    reference: SavedModel,
    saved: SavedModel,
    utterances: Sequence[Utterance],
    *,
    device: torch.device,
) -> dict[str, float] | None:
    """Return KL(reference ‖ model) of each utterance id, in nats, mean over frames or tokens.

    Cached in divergence.json among the model's predictions. None where the two models cannot be
    compared: their vocabularies differ, or their numbers of frames.
    """
    made_from = [[reference.files(), saved.files()], content(utterances)]
    entry = cached(saved.predictions / "divergence.json", made_from)
    if not entry.is_current:
        pair = (reference.task(device), saved.task(device))
        found = _divergence(pair, utterances, f"{saved.name}, divergence")
        with entry.write() as partial:
            partial.write_text(json.dumps(found))
    each: dict[str, float] | None = json.loads(entry.path.read_text())
    return each


def _divergence(
    pair: tuple[Task, Task], utterances: Sequence[Utterance], description: str
) -> dict[str, float] | None:
    inputs = [Inputs(task) for task in pair]
    found: dict[str, float] = {}
    bar = Bar(total=len(utterances), desc=description, unit="utt", delay=2)
    with torch.inference_mode(), bar:
        for group in by_length(utterances, together(*pair)):
            (expected, true), (model, _) = (
                task.distributions(collate([example(u) for u in group]).to(task.device))
                for task, example in zip(pair, inputs, strict=True)
            )
            if expected.shape != model.shape:
                return None
            each = divergences(expected, model, true).tolist()
            found.update(zip([u.id for u in group], each, strict=True))
            bar.update(len(group))
    return found
