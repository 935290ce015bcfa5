"""The membership inference attacks that an evaluation is asked for, and what they may train."""

from collections.abc import Collection
from dataclasses import dataclass

from asr_unlearn.evaluation.results import ORIGINAL
from asr_unlearn.runtime.errors import InputError


@dataclass(frozen=True)
class AttackBudget:
    """The attacks that are wanted, and the models to train for them; by default none.

    Attributes:
        informed: models with other speakers unlearned, for the informed attack on each unlearned
            model.
        shadows: shadow models for LiRA and RMIA, trained with and without each speaker.
        unlearn_shadows: whether to unlearn from each shadow model as from each unlearned model, for
            U-LiRA.
        neighbours: whether to measure losses on slightly changed recordings; trains none.
        method_files: methods of the user's own that may be loaded, as path/to/file.py:ClassName.

    Raises:
        InputError: a number is negative, the number of shadow models odd, there are none to unlearn
            from, or methods are given that nothing would run.
    """

    informed: int = 0
    shadows: int = 0
    unlearn_shadows: bool = False
    neighbours: bool = False
    method_files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("informed", "shadows"):
            if (count := getattr(self, name)) < 0:
                raise InputError(f"--{name} {count}: give 0 or more")
        if self.shadows % 2:
            raise InputError(
                f"--shadows {self.shadows}: give an even number, so that every speaker is in half "
                "of the shadow models"
            )
        if self.unlearn_shadows and not self.shadows:
            raise InputError("--unlearn_shadows: there are none; give --shadows 16, say")
        if self.method_files and not self.unlearns:
            raise InputError(
                f"--method_files {','.join(self.method_files)}: only attacks that unlearn run "
                "methods; give --informed or --unlearn_shadows too, or leave it out"
            )

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
