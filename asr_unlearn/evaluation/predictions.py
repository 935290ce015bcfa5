"""What a saved model says of a corpus, kept on disk: transcripts, states, divergences.

Each file is taken as it stands for as long as neither the weights nor the corpus have changed.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from asr_unlearn.data.batching import Batch, by_length, collate
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.metrics.divergence import divergences
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import Score, score, with_known_labels
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks import Classification, Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write, digest_of, stamp, stands

Row = dict[str, Any]
TRANSCRIPTS = "utterances.jsonl"
# Of utterances.jsonl: an earlier version wrote fewer rows, and fewer fields.
ROWS = 3
# Of states.npz and embeddings.npz.
VECTORS = 2


def transcribe(
    saved: SavedModel,
    manifest: Sequence[Utterance],
    split: Split,
    *,
    device: torch.device,
    batch_size: int = 16,
    beams: int = 1,
    parts: Sequence[str] = PARTS,
) -> list[Row]:
    """Loss and transcript of every utterance of these parts, by the model as it was saved.

    They stand in utterances.jsonl among the model's answers. What a classifier has no class for is
    left out, and said.
    """
    target = saved.predictions / TRANSCRIPTS
    part_of = {name: part for part in parts for name in split.parts[part]}
    everything = [u for u in manifest if u.id in part_of]
    basis = _basis(saved, part_of, everything, beams)
    if not stands(target, basis):
        task = saved.task(device, beams=beams)
        utterances = with_known_labels(task, everything)
        wanted, answered = (Counter(part_of[u.id] for u in us) for us in (everything, utterances))
        for part, count in (wanted - answered).items():
            print(
                f"{saved.name} has no class for {count} of {wanted[part]} utterances of {part}: "
                "not evaluated",
                flush=True,
            )
        scored = score(
            task, Inputs(task), utterances, batch_size=batch_size, description=saved.name
        )
        rows = [_row(part_of[one.utterance.id], one) for one in scored]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with atomic_write(target) as aside:
            aside.write_text(lines, encoding="utf-8")
        stamp(target, basis)
    # Not splitlines: a transcript may hold what Unicode takes for the end of a line.
    return [json.loads(line) for line in target.read_text(encoding="utf-8").split("\n") if line]


def is_transcribed(
    saved: SavedModel, manifest: Sequence[Utterance], split: Split, *, beams: int = 1
) -> bool:
    """Whether `transcribe` of all parts has nothing left to do."""
    part_of = {name: part for part in PARTS for name in split.parts[part]}
    everything = [u for u in manifest if u.id in part_of]
    return stands(saved.predictions / TRANSCRIPTS, _basis(saved, part_of, everything, beams))


def _basis(
    saved: SavedModel, part_of: Mapping[str, str], utterances: Sequence[Utterance], beams: int
) -> str:
    """Of all that the transcripts come from."""
    return digest_of([ROWS, saved.files(), part_of, content(utterances), beams])


def classified(rows: Sequence[Row]) -> bool:
    """Whether the rows are a classifier's, each right or wrong as a whole."""
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
    return {
        **row,
        "word_errors": words.errors,
        "words": words.length,
        "character_errors": characters.errors,
        "characters": characters.length,
    }


def mean_states(
    saved: SavedModel,
    utterances: Sequence[Utterance],
    *,
    device: torch.device,
    batch_size: int = 16,
) -> Float[np.ndarray, "N C"]:
    """The encoder's states, averaged over each utterance, by the model as it was saved.

    They stand in states.npz among the model's answers.
    """

    def mean(task: Task, batch: Batch) -> Float[Tensor, "B C"]:
        states, true = task.states(batch)
        return (states * true[..., None]).sum(1) / true.sum(1, keepdim=True)

    return _vectors(saved, utterances, "states", mean, device, batch_size)


def embeddings(
    saved: SavedModel,
    utterances: Sequence[Utterance],
    *,
    device: torch.device,
    batch_size: int = 16,
) -> Float[np.ndarray, "N C"]:
    """What the last layer of a classifier is given, by the model as it was saved.

    They stand in embeddings.npz among the model's answers.

    Raises:
        InputError: the model is no classifier.
    """

    def embedding(task: Task, batch: Batch) -> Float[Tensor, "B C"]:
        if not isinstance(task, Classification):
            raise InputError(f"{saved.folder} is no classifier: it has no embeddings")
        return task.embeddings(batch)

    return _vectors(saved, utterances, "embeddings", embedding, device, batch_size)


def _vectors(
    saved: SavedModel,
    utterances: Sequence[Utterance],
    name: str,
    of: Callable[[Task, Batch], Float[Tensor, "B C"]],
    device: torch.device,
    batch_size: int,
) -> Float[np.ndarray, "N C"]:
    """A vector of each utterance, kept in NAME.npz among the model's answers."""
    target = saved.predictions / f"{name}.npz"
    basis = digest_of([VECTORS, saved.files(), content(utterances)])
    if not stands(target, basis):
        task = saved.task(device)
        inputs = Inputs(task, targets=False)
        size = batch_size if task.batches_are_exact else 1
        found: dict[str, Float[np.ndarray, " C"]] = {}
        bar = tqdm(total=len(utterances), desc=f"{saved.name}, {name}", unit="utt", delay=2)
        with torch.inference_mode(), bar:
            for group in by_length(utterances, size):
                batch = collate([inputs(u) for u in group]).to(device)
                vectors = of(task, batch).float().cpu().numpy()
                found.update(zip(batch.ids, vectors, strict=True))
                bar.update(len(group))
        with atomic_write(target) as aside, aside.open("wb") as file:
            np.savez(file, vectors=np.stack([found[u.id] for u in utterances]))
        stamp(target, basis)
    with np.load(target) as stored:
        vectors_of_all: Float[np.ndarray, "N C"] = stored["vectors"]
    return vectors_of_all


def divergence(
    reference: SavedModel,
    saved: SavedModel,
    utterances: Sequence[Utterance],
    *,
    device: torch.device,
    batch_size: int = 16,
) -> dict[str, float] | None:
    """KL(reference ‖ model) of each utterance, mean over its frames or tokens, in nats.

    They stand in divergence.json among the model's answers. None where the two models do not say
    the same things: another vocabulary, or another number of frames.
    """
    target = saved.predictions / "divergence.json"
    made_from = [reference.files(), saved.files()]
    basis = digest_of([made_from, content(utterances)])
    if not stands(target, basis):
        pair = (reference.task(device), saved.task(device))
        found = _divergence(pair, utterances, batch_size, f"{saved.name}, divergence")
        with atomic_write(target) as aside:
            aside.write_text(json.dumps(found))
        stamp(target, basis)
    kept: dict[str, float] | None = json.loads(target.read_text())
    return kept


def _divergence(
    pair: tuple[Task, Task], utterances: Sequence[Utterance], batch_size: int, description: str
) -> dict[str, float] | None:
    inputs = [Inputs(task) for task in pair]
    size = batch_size if all(task.batches_are_exact for task in pair) else 1
    found: dict[str, float] = {}
    bar = tqdm(total=len(utterances), desc=description, unit="utt", delay=2)
    with torch.inference_mode(), bar:
        for group in by_length(utterances, size):
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
