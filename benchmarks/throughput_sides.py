"""One side of `benchmarks.throughput` in a process of its own: prints its figures as JSON.

Both sides take the same model folder and manifest. Loading the model is not timed. Ours reads and
decodes the recordings within the time; for training, theirs has prepared them before, as in the
examples of transformers (`run_speech_recognition_ctc.py`, `run_speech_recognition_seq2seq.py`).
"""

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio
from asr_unlearn.data.batching import Example
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.metrics.wer import count_errors, rate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import score
from asr_unlearn.models.loading import load_model
from asr_unlearn.models.tasks import Task, task_for
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.memory import peak_memory, reset_peak_memory
from asr_unlearn.training.finetune import Train
from asr_unlearn.training.trainer import Training

Figures = dict[str, Any]
CPU = torch.device("cpu")
TRAIN_BATCH, EVALUATION_BATCH = 8, 16
LEARNING_RATE, WARMUP, CLIP = 1e-5, 0.1, 1.0
# Labels that the loss ignores.
IGNORED = -100


@dataclass(frozen=True)
class Job:
    """What one side works on: a model folder, utterances, passes over them, a folder for output."""

    model: str
    utterances: Sequence[Utterance]
    epochs: int
    out: Path

    def task(self) -> Task:
        """The model with the parameters that both sides train, and the labels that both predict."""
        task = task_for(*load_model(self.model), CPU)
        if task.generates:
            # A pretrained one: its front end stays frozen, and the labels are as in the example.
            task.freeze_front_end()
            choose_spelling(task, (), "lower")
        return task


class SeenInputs(Inputs):
    """The inputs of utterances, with a count of how often each was taken."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.seen: Counter[str] = Counter()

    def __call__(self, utterance: Utterance) -> Example:
        self.seen[utterance.id] += 1
        return super().__call__(utterance)


class Collator:
    """Pads inputs and labels of a batch as the examples do, and counts the utterances."""

    def __init__(self, processor: Any, start: int | None) -> None:
        self.extractor, self.tokenizer = processor.feature_extractor, processor.tokenizer
        self.start = start
        self.seen: Counter[str] = Counter()

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        self.seen.update(row["id"] for row in rows)
        name = self.extractor.model_input_names[0]
        inputs = [{name: row[name]} for row in rows]
        batch: dict[str, Tensor] = dict(self.extractor.pad(inputs, return_tensors="pt"))
        spelled = [{"input_ids": row["labels"]} for row in rows]
        padded = self.tokenizer.pad(spelled, return_tensors="pt")
        labels = padded["input_ids"].masked_fill(padded["attention_mask"].ne(1), IGNORED)
        if self.start is not None and bool((labels[:, 0] == self.start).all()):
            # The decoder puts its start token before the labels again.
            labels = labels[:, 1:]
        return batch | {"labels": labels}


def train_ours(job: Job) -> Figures:
    """Fine-tuning by this package, up to the last checkpoint."""
    task = job.task()
    set_window(task, "auto", job.utterances)
    method = Train(lr=LEARNING_RATE, warmup=WARMUP, clip=CLIP, epochs=float(job.epochs))
    inputs = SeenInputs(task)
    assert method.batch_size("train") == TRAIN_BATCH
    training = Training(task, method, {"train": job.utterances}, inputs, job.out, seed=0)
    return measured(training, lambda _: inputs.seen)


def train_theirs(job: Job) -> Figures:
    """Fine-tuning by transformers' Trainer on prepared inputs, and saving the model."""
    # Not at the top: the other side's memory is measured without them.
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainingArguments

    task = job.task()
    processor, model = task.processor, task.model
    began = time.perf_counter()
    prepared = prepare(processor, job.utterances, job.out / "prepared.arrow")
    preparation = time.perf_counter() - began
    start = getattr(model.config, "decoder_start_token_id", None) if task.generates else None
    collator = Collator(processor, start)
    kind, kinds = (
        (Seq2SeqTrainer, Seq2SeqTrainingArguments)
        if task.generates
        else (Trainer, TrainingArguments)
    )
    arguments = kinds(
        output_dir=str(job.out),
        num_train_epochs=job.epochs,
        per_device_train_batch_size=TRAIN_BATCH,
        learning_rate=LEARNING_RATE,
        warmup_steps=WARMUP,
        max_grad_norm=CLIP,
        train_sampling_strategy="group_by_length",
        length_column_name="input_length",
        # The collator counts the utterances by their ids.
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = kind(
        model=model,
        args=arguments,
        data_collator=collator,
        train_dataset=prepared,
        processing_class=processor.feature_extractor,
    )

    def train() -> None:
        trainer.train()
        trainer.save_model()

    figures = measured(train, lambda _: collator.seen)
    return {**figures, "preparation_seconds": preparation}


def prepare(processor: Any, utterances: Sequence[Utterance], path: Path) -> Any:
    """A dataset of the prepared utterances in a memory-mapped file, as `Dataset.map` makes it."""
    from datasets import Dataset
    from datasets.arrow_writer import ArrowWriter

    with ArrowWriter(path=str(path)) as writer:
        for row in rows_of(processor, utterances):
            writer.write(row)
        writer.finalize()
    return Dataset.from_file(str(path))


def rows_of(processor: Any, utterances: Sequence[Utterance]) -> Iterator[dict[str, Any]]:
    """The columns that `prepare_dataset` of the examples makes, and the id."""
    extractor, tokenizer = processor.feature_extractor, processor.tokenizer
    name = extractor.model_input_names[0]
    for utterance in utterances:
        audio = load_audio(utterance.audio)
        text = utterance.text or ""
        if name == "input_features":
            text = text.lower()
        yield {
            "id": utterance.id,
            name: extractor(audio, sampling_rate=SAMPLE_RATE)[name][0],
            "input_length": len(audio),
            "labels": tokenizer(text).input_ids,
        }


def transcribe_ours(job: Job) -> Figures:
    """Transcripts by this package, with the losses that it computes beside them."""
    task = job.task()
    set_window(task, "auto", job.utterances)

    def transcribe() -> dict[str, str]:
        found = score(task, Inputs(task), job.utterances)
        return {one.utterance.id: one.hypothesis for one in found}

    return transcribed(job, transcribe)


def transcribe_theirs(job: Job) -> Figures:
    """Transcripts by transformers' pipeline, in batches."""
    from transformers import pipeline

    recogniser: Any = pipeline(
        "automatic-speech-recognition", model=job.model, dtype=torch.float32, device=CPU
    )

    def waves() -> Iterator[dict[str, Any]]:
        for utterance in job.utterances:
            yield {"raw": load_audio(utterance.audio), "sampling_rate": SAMPLE_RATE}

    def transcribe() -> dict[str, str]:
        found = recogniser(waves(), batch_size=EVALUATION_BATCH)
        texts = [str(one["text"]) for one in found]
        return {u.id: text for u, text in zip(job.utterances, texts, strict=True)}

    return transcribed(job, transcribe)


def transcribed(job: Job, transcribe: Callable[[], dict[str, str]]) -> Figures:
    """The figures of a transcription, and the WER without case and punctuation."""
    texts: dict[str, str] = {}

    def seen(found: dict[str, str]) -> Counter[str]:
        texts.update(found)
        return Counter(found.keys())

    figures = measured(transcribe, seen)
    errors = [count_errors(plain(u.text or ""), plain(texts[u.id]), "word") for u in job.utterances]
    return {**figures, "wer": rate(errors)}


def plain(text: str) -> str:
    """The words alone, in lower case."""
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower()).split())


def measured(work: Callable[[], Any], seen: Callable[[Any], Counter[str]]) -> Figures:
    """Run the work; its rate, its peak memory, and how often it processed each utterance."""
    reset_peak_memory(CPU)
    began, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = peak_memory(CPU)
    processed = seen(result)
    return {
        "utterances_per_second": processed.total() / seconds,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_bytes": peak,
        "processed": dict(sorted(processed.items())),
    }


WORK: dict[str, dict[str, Callable[[Job], Figures]]] = {
    "train": {"ours": train_ours, "theirs": train_theirs},
    "transcribe": {"ours": transcribe_ours, "theirs": transcribe_theirs},
}


def figures_of(work: str, side: str, model: str, manifest: Path, epochs: int) -> Figures:
    """Run one side in this process; its figures."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as out:
        return WORK[work][side](Job(model, read_manifest(manifest), epochs, Path(out)))


def main() -> None:
    """Print the figures of one side as a line of JSON."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    flags.add_argument("work", choices=WORK)
    flags.add_argument("side", choices=("ours", "theirs"))
    flags.add_argument("--model", required=True, help="folder of the model")
    flags.add_argument("--manifest", type=Path, required=True)
    flags.add_argument("--epochs", type=int, default=1)
    print(json.dumps(figures_of(**vars(flags.parse_args()))))


if __name__ == "__main__":
    main()
