"""What an evaluation is asked for beside the models' own figures, and may train for that."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from joblib import cpu_count

from asr_unlearn.evaluation.results import ORIGINAL
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.runner import LOCAL, Runner, check_runner


@dataclass(frozen=True)
class AttackBudget:
    """The attacks and measures that are wanted, and the models to train for them; by default none.

    Attributes:
        informed: models with other speakers unlearned, for the informed attack on each unlearned
            model.
        shadows: shadow models for LiRA and RMIA, trained with and without each speaker.
        unlearn_shadows: whether to unlearn from each shadow model as from each unlearned model, for
            U-LiRA.
        relearn: whether to count the steps until a model has relearned the forget speakers.
        quantised: whether to measure each model's losses with its weights rounded; trains none.
        neighbours: whether to measure losses on slightly changed recordings; trains none.
        extraction: whether to see how decoders finish transcripts in silence; trains none.
        masking: whether to see what recognisers write where a word is hidden; trains none.
        voices: a speaker classifier to find the retained speakers nearest to the forgotten with.
        workers: trainings at the same time; 0 for one per core, or one on a GPU, or as many as a
            cluster has room for.
        runner: where they run, "local" or as for `Runner.of`.
        method_files: methods of the user's own that may be loaded, as path/to/file.py:ClassName.

    Raises:
        InputError: a number is negative, the number of shadow models odd, or there are none to
            unlearn from.
    """

    informed: int = 0
    shadows: int = 0
    unlearn_shadows: bool = False
    relearn: bool = False
    quantised: bool = False
    neighbours: bool = False
    extraction: bool = False
    masking: bool = False
    voices: str | None = None
    workers: int = 0
    runner: str = LOCAL
    method_files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("informed", "shadows", "workers"):
            if (count := getattr(self, name)) < 0:
                raise InputError(f"--{name} {count}: give 0 or more")
        check_runner(self.runner)
        if self.shadows % 2:
            raise InputError(
                f"--shadows {self.shadows}: give an even number, so that every speaker is in half "
                "of the shadow models"
            )
        if self.unlearn_shadows and not self.shadows:
            raise InputError("--unlearn_shadows: there are none; give --shadows 16, say")

    def check(self, names: Collection[str]) -> None:
        """Raises InputError if shadow models are to be like the original, and there is none."""
        if self.shadows and ORIGINAL not in names:
            raise InputError(
                "--shadows: no model is called original; give its folder as --original"
            )

    @property
    def unlearns(self) -> bool:
        """Whether any attack repeats the attacked model's unlearning."""
        return bool(self.informed) or self.unlearn_shadows

    def trainings(self, device: torch.device) -> Runner:
        """Return where trainings run, and how many at the same time."""
        if self.runner != LOCAL:
            return Runner.of(self.runner, self.workers or None, device)
        return Runner(LOCAL, self.workers or (1 if device.type == "cuda" else cpu_count()))

    def transcriptions(self, device: torch.device) -> Runner:
        """Return where models are transcribed: one after the other here unless it is asked for."""
        return self.trainings(device) if self.runner != LOCAL else Runner(LOCAL, self.workers or 1)
