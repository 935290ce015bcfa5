"""How a model is trained, apart from the options of the method."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from asr_unlearn.data.augmentation import Speeds
from asr_unlearn.models.adapters import NO_LORA, Lora
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.models.tasks.from_scratch import TrainingAids
from asr_unlearn.models.tasks.transcript_spelling import SpellingChoice
from asr_unlearn.models.tasks.window import Window, check_window
from asr_unlearn.runtime.errors import InputError

NO_AIDS = TrainingAids()


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a model is trained, apart from the options of the method.

    Attributes:
        task: what to train for; by default the task of the config's class.
        language: of a multilingual recogniser (see `Seq2Seq`).
        spelling: of a Whisper's transcripts (see `choose_spelling`).
        filterbank: initialise a first convolution of random weights with band-pass filters.
        augmented: random polarity and shift of the waves.
        speeds: playback speeds of the waves, one drawn each time.
        crop_seconds: length of the random pieces to train on, 0 for whole utterances.
        front_end_frozen: by default, unless training starts from random weights.
        aids: further losses and noise for a Whisper from scratch.
        window: of a Whisper's encoder while it is trained; the saved model has its own. A
            classifier that is given seconds has that window from then on.
        lora: new adapters, which are trained alone, but for the output layer of a recogniser by CTC
            or of a classifier.
        compute: how passes through the model are computed.
        gradient_checkpointing: keep each layer's input alone in a forward pass, and compute the
            rest again in the backward pass.
    """

    task: TaskName | None = None
    language: str | None = None
    spelling: SpellingChoice = "auto"
    filterbank: bool = False
    augmented: bool = False
    speeds: tuple[float, ...] = (1.0,)
    crop_seconds: float = 0.0
    front_end_frozen: bool | None = None
    aids: TrainingAids = NO_AIDS
    window: Window | None = "auto"
    lora: Lora = NO_LORA
    compute: Compute = FULL
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Raises InputError for what is impossible for any model."""
        Speeds(self.speeds)
        if not 0 <= self.crop_seconds < math.inf:
            raise InputError(crop_error(self.crop_seconds))
        if self.window is not None:
            check_window(self.window)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Setup":
        """The setup of a trained model, from the options in its run.json."""
        given = {f.name: options[f.name] for f in fields(cls) if f.name in options}
        read = {
            "aids": TrainingAids(**given.get("aids", {})),
            "speeds": tuple(given.get("speeds", cls.speeds)),
            # A run without a window was trained with the model's own.
            "window": given.get("window"),
            "lora": Lora(**given.get("lora", {})),
            "compute": Compute(**given.get("compute", {})),
        }
        return cls(**(given | read))

    def recorded(self) -> dict[str, Any]:
        """The setup as options of a run; what is seldom given only where it was."""
        options = asdict(self)
        unused = {"aids": not self.aids, "spelling": self.spelling == "auto"}
        unused |= {"window": self.window is None, "lora": not self.lora}
        unused |= {"compute": not self.compute}
        unused |= {"gradient_checkpointing": not self.gradient_checkpointing}
        return {name: value for name, value in options.items() if not unused.get(name)}


def crop_error(seconds: float) -> str:
    """Why pieces of so many seconds cannot be trained on."""
    return f"--crop_seconds {seconds:g}: give enough for the model, or 0 for whole utterances"
