"""Fine-tune a model, or train it from scratch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_unlearn.api.arguments import Seed
from asr_unlearn.api.inputs import read_corpus
from asr_unlearn.data.split import PARTS
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.models.adapters import NO_LORA, Lora
from asr_unlearn.models.hub import check_push, push
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.models.tasks.from_scratch import TrainingAids
from asr_unlearn.models.tasks.transcript_spelling import SpellingChoice
from asr_unlearn.models.tasks.window import Window
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_model_folder
from asr_unlearn.runtime.text import names_in
from asr_unlearn.runtime.tracking import TrackerName, check_tracker, tracking
from asr_unlearn.training.finetune import train_model
from asr_unlearn.training.outcome import Outcome
from asr_unlearn.training.setup import Setup


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        folder: where `from_pretrained` loads it from.
        outcome: steps, seconds and memory.
    """

    folder: Path
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.folder}: {self.outcome.steps} steps, {self.outcome.seconds:.0f} s"


def train(
    manifest: Path | str,
    split: Path | str,
    model: Path | str,
    out: Path | str,
    *,
    parts: str | Sequence[str] = "retain,forget",
    finetune: Finetune | None = None,
    seed: Seed = 0,
    device: Device = "auto",
    freeze_front_end: bool | None = None,
    filterbank: bool = False,
    augmented: bool = False,
    speeds: tuple[float, ...] = (1.0,),
    crop_seconds: float = 0.0,
    task: TaskName | None = None,
    language: str | None = None,
    spelling: SpellingChoice = "auto",
    auxiliary_ctc: float = 0.0,
    token_noise: float = 0.0,
    joined: float = 0.0,
    window: Window = "auto",
    lora: Lora = NO_LORA,
    merge: bool = True,
    compute: Compute = FULL,
    gradient_checkpointing: bool = False,
    track: TrackerName | None = None,
    push_to_hub: str | None = None,
) -> Trained:
    """Fine-tune a model, or train it from scratch; retraining is the same without `forget`.

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        model: Hugging Face name, local folder, or a config.json to train from scratch.
        out: folder to publish the model at; what is there already is kept as out.old-N.
        parts: parts to train on, with commas.
        finetune: epochs, learning rate, batch size and the like.
        seed: seed of new weights, of the order of the batches and of dropout.
        device: auto, cpu or cuda.
        freeze_front_end: keep the convolutional front end as it is; by default unless the model
            starts from random weights.
        filterbank: start the first convolution as a bank of band-pass filters.
        augmented: random polarity and shift of the waves.
        speeds: playback speeds of the waves, one drawn each time, such as [0.9, 1, 1.1].
        crop_seconds: length of the random pieces of utterances to train on; 0 takes them whole.
        task: what to train for; by default what the model was made for. A class is an utterance's
            label, or its speaker where it has none.
        language: language that a multilingual Whisper writes; by default that of its settings, or
            English.
        spelling: spelling of a Whisper's transcripts: as_given, lower or upper; auto is what the
            model itself writes, by its loss on a few utterances.
        auxiliary_ctc: for a Whisper from scratch: share of a CTC loss on its encoder in the loss.
        token_noise: for a Whisper from scratch: share of random tokens among its decoder's inputs.
        joined: for a Whisper from scratch: probability that an utterance is followed by another.
        window: window of a Whisper's encoder while it is trained: auto for the longest utterance
            rounded up to whole seconds; full for the model's own, 30 s in OpenAI's; or seconds. The
            saved model has its own; but a classifier, which averages over its window, is trained
            and saved with the seconds that are given, and else keeps its own.
        lora: train new low-rank adapters alone, and the output layer of a recogniser by CTC or of a
            classifier. Adapters that a model has are trained alone without this.
        merge: publish a whole model; False publishes the adapters alone.
        compute: precision of the passes through the model, and most audio in one.
        gradient_checkpointing: keep each layer's input alone in a forward pass, and compute the
            rest again in the backward pass: less memory, a third more time.
        track: send what is logged to an experiment tracker too: tensorboard (to OUT.tensorboard),
            trackio, wandb or mlflow.
        push_to_hub: send the model and its card to this repository of the Hub too, which is made
            private if it is new.

    Returns:
        The published model. A run that was interrupted is resumed.

    Raises:
        InputError: a model, part or option that cannot be used.
        DivergedError: a loss or gradient is not finite.

    Examples:
        >>> from asr_unlearn import train
        >>> from asr_unlearn.methods.finetune import Finetune
        >>> options = Finetune(epochs=2, lr=1e-3)
        >>> train("manifest.jsonl", "split.json", "tiny", "out/original", finetune=options).folder
        PosixPath('out/original')
        >>> retrained = train("manifest.jsonl", "split.json", "tiny", "out/retrained",
        ...                   parts=["retain"], finetune=options)
        >>> retrained.outcome.steps
        4
    """
    out = Path(out)
    check_model_folder(out, Path(manifest), Path(split), Path(model))
    check_tracker(track)
    check_push(push_to_hub)
    chosen = parts_of(parts)
    computing_on = distributed.join(pick_device(device))
    with tracking(track, out):
        outcome = train_model(
            read_corpus(manifest, split, out),
            str(model),
            finetune or Finetune(),
            out,
            parts=chosen,
            seed=seed,
            device=computing_on,
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
                lora=lora,
                compute=compute,
                gradient_checkpointing=gradient_checkpointing,
            ),
            merge=merge,
        )
    push(out, push_to_hub)
    return Trained(out, outcome)


def parts_of(given: str | Sequence[str]) -> list[str]:
    """The names of parts, given as a list or as "retain,forget".

    Raises:
        InputError: none is given, there is no such part, or one is given twice.
    """
    parts = names_in(given)
    if not parts:
        raise InputError(f"--parts is empty: name some of {', '.join(PARTS)}")
    for part, count in Counter(parts).items():
        if part not in PARTS:
            raise InputError(f"no part is called {part!r}; there are {', '.join(PARTS)}")
        if count > 1:
            raise InputError(f"--parts {','.join(parts)} names {part} {count} times; name it once")
    return parts
