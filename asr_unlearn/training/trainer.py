"""The training loop: fine-tuning, retraining and unlearning differ only in the method of a step."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import set_seed
from jaxtyping import Float
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from asr_unlearn.data.augmentation import Crop
from asr_unlearn.data.batching import BatchSource, Change
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import pieces_of
from asr_unlearn.methods import Method, Step, TrainingContext
from asr_unlearn.methods.context import Batches, in_one
from asr_unlearn.methods.direction import Direction
from asr_unlearn.methods.step_length import StepLength
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime import distributed, signals
from asr_unlearn.runtime.distributed import gathered
from asr_unlearn.runtime.memory import peak_memory, reset_peak_memory
from asr_unlearn.runtime.progress import Bar
from asr_unlearn.training.clock import Clock
from asr_unlearn.training.early_stopping import EarlyStopping
from asr_unlearn.training.outcome import DivergedError, Outcome
from asr_unlearn.training.preparation import NOTHING, Preparation
from asr_unlearn.training.run_log import RunLog
from asr_unlearn.training.run_state import Progress, RunState
from asr_unlearn.training.update import NotFiniteError, Update


class Training:
    """A resumable run of a method on a model, in a folder.

    Args:
        task: the model.
        method: makes the direction of each step.
        parts: the utterances of each part that the method needs.
        inputs: of the utterances.
        folder: for checkpoints and metrics.jsonl.
        seed: of batches, dropout and augmentation.
        prepared: what unlearning goes by, such as the stop rule.
        clock: counts the cost of the run.
        changes: augmentation of every batch, in this order; with a frozen front end only a `Crop`.
            The statistics of batch norm are trained with a `Crop` only, since they would count
            the padding of whole utterances.
        checkpoint_seconds: least time between two checkpoints.
        description: of the progress bar.
    """

    def __init__(
        self,
        task: Task,
        method: Method,
        parts: Mapping[Part, Sequence[Utterance]],
        inputs: Inputs,
        folder: Path,
        *,
        seed: int,
        prepared: Preparation = NOTHING,
        clock: Clock | None = None,
        changes: Sequence[Change] = (),
        checkpoint_seconds: float = 60.0,
        description: str = "training",
    ) -> None:
        self.task, self.method, self.inputs = task, method, inputs
        self.seed, self.description = seed, description
        self.cropped = any(isinstance(change, Crop) for change in changes)
        self.checkpoint_seconds = checkpoint_seconds
        self.folder, self.run_log = folder, RunLog(folder)
        self.unchanged, self.clock = prepared.unchanged, clock or Clock()
        self.early_stopping = None
        if prepared.stop is not None:
            self.early_stopping = EarlyStopping(prepared.stop, inputs, prepared.checked, folder)
        folder.mkdir(parents=True, exist_ok=True)
        method.freeze_parameters(task)
        self.update = Update(task.model, method, prepared.protected)
        self.sources: dict[Part, BatchSource] = {
            part: BatchSource(
                parts[part],
                inputs,
                batch_size=method.batch_size(part),
                # Forget and retain batches are drawn independently.
                seed=2 * seed + (part == "forget"),
                changes=changes,
                device=task.device,
                share=distributed.share(),
                longest=task.compute.longest,
                shortest=task.front_end.shortest,
            )
            for part in method.parts
        }
        self.total = method.steps(self.sources)
        self.context = TrainingContext(
            task,
            self.sources,
            method.steps_per_epoch(self.sources),
            self.total,
            seed=seed,
            difficulty=prepared.difficulty,
            group=distributed.group(),
            known=prepared.known,
            base=prepared.base,
        )
        self.step_length: StepLength | None = None
        self.state = RunState(folder, task, self.update, self.early_stopping, self.clock)

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return self.state.progress

    @property
    def stopped(self) -> str:
        """Why the stop rule ended the run; empty if it did not."""
        return self.early_stopping.state.stopped if self.early_stopping else ""

    def __call__(self) -> Outcome:
        """Run until the last step or the stop rule; the model is left as the result.

        Raises:
            DivergedError: a loss or gradient is not finite.
        """
        reset_peak_memory(self.task.device)
        with self.clock.counting(self.task.model):
            self._run()
            # A kill before the result is published must not cost the run.
            self.state.save()
            return self._outcome()

    def _run(self) -> None:
        self._resume()
        if self.early_stopping is not None and self.progress.step == 0:
            self._check(self.early_stopping)
        saved = time.monotonic()
        bar = Bar(
            total=self.total,
            initial=self.progress.step,
            desc=self.description,
            unit="step",
            disable=not distributed.is_first(),
        )
        ended_by = 0
        with bar, signals.held() as come:
            while self.progress.step < self.total and not self.stopped:
                # Several processes end after the same step, whichever of them got the signal, and
                # save after the same, when it is time for the first.
                due = time.monotonic() - saved > self.checkpoint_seconds
                come_to, dues = zip(*gathered([(come.number, due)]), strict=True)
                if (ended_by := max(come_to)) or dues[0]:
                    self.state.save()
                    saved = time.monotonic()
                if ended_by:
                    break
                self._step(bar)
        if ended_by:
            raise signals.EndedError(ended_by)

    def _step(self, bar: "Bar[Any]") -> None:
        now = self.progress
        rate = self.method.rate(now.step, self.total)
        self.update.set_rate(rate)
        with self.clock.phase("steps"):
            direction = self._update()
            losses = {part: _mean(own) for part, own in direction.losses.items()}
        now.step += 1
        row = {
            "step": now.step,
            "epoch": round(self.method.epoch(now.step, self.context), 3),
            "seconds": self._seconds(),
            "lr": self.update.scale * rate,
            **{f"{part}_loss": round(loss, 6) for part, loss in losses.items()},
            **direction.logged,
        }
        self._log(**row)
        bar.update()
        bar.set_postfix({part: f"{loss:.3f}" for part, loss in losses.items()}, refresh=False)
        if self.early_stopping is not None and (
            self.method.is_checked(now.step, self.context, self.early_stopping.rule.every)
            or now.step == self.total
        ):
            self._check(self.early_stopping)

    def _update(self) -> Direction:
        """One step along the method's direction."""
        drawn: list[str] = []

        def draw(part: Part) -> Batches:
            batches = self._batches(part)
            drawn.extend(i for batch in pieces_of(batches) for i in batch.ids)
            return batches

        if self.context.group is not None:
            # Each process draws noise of its own, and the same after a resumption.
            entropy = [self.seed, self.progress.step, distributed.share().rank]
            set_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        step = Step(self.context, self.progress.step, draw, self.step_length)
        self.task.model.train(self.method.trains)
        for module in self.task.model.modules() if not self.cropped else ():
            if isinstance(module, _BatchNorm):
                module.eval()
        try:
            return self.update(step)
        except NotFiniteError:
            raise DivergedError(
                f"the gradient at step {self.progress.step + 1} is not finite; lower the learning "
                f"rate ({self.method.name}.lr={self.method.lr}). Utterances of the step: "
                f"{', '.join(drawn)}"
            ) from None

    def _batches(self, part: Part) -> Batches:
        count = self.method.batches_per_step(part)
        first = self.progress.drawn.get(part, 0)
        self.progress.drawn[part] = first + count
        source = self.sources[part]
        return in_one([piece for i in range(count) for piece in source.pieces(first + i)])

    def _check(self, early_stopping: EarlyStopping) -> None:
        with self.clock.phase("checks"):
            known = None if self.progress.step else self.unchanged
            found = early_stopping.check(self.progress.step, known)
        figures = {name: round(figure, 6) for name, figure in found.items()}
        self._log(step=self.progress.step, seconds=self._seconds(), **figures)

    def _seconds(self) -> float:
        return round(self.clock.total.seconds, 3)

    def _log(self, **row: Any) -> None:
        if distributed.is_first():
            self.run_log.log(**row)

    def _resume(self) -> None:
        set_seed(self.seed)
        self.task.model.eval()
        with self.clock.phase("preparation"):
            self.method.prepare(self.context)
            self.step_length = self.method.step_length(self.context)
            if self.update.projection is not None:
                self.update.projection.prepare(self.context)
        resumed = self.state.restore()
        if distributed.is_first():
            self.run_log.drop_rows_after(self.state.progress.step if resumed else -1)

    def _outcome(self) -> Outcome:
        now = self.progress
        kept, stopped = float(now.step), self.stopped or f"after all {self.total} steps"
        if self.early_stopping is not None:
            with self.clock.phase("interpolation"):
                kept, which = self.early_stopping.end(now.step)
            stopped = "; ".join(filter(None, (stopped, which)))
        return Outcome(
            steps=now.step,
            kept_step=kept,
            seconds=round(self.clock.total.seconds, 2),
            costs=self.clock.gathered(),
            stopped=stopped,
            peak_bytes=peak_memory(self.task.device),
            target=self.early_stopping.rule.target if self.early_stopping else None,
            warning=self.early_stopping.missed(now.step) if self.early_stopping else None,
        )


def _mean(losses: Float[Tensor, " B"]) -> float:
    """The mean over the utterances of all processes."""
    gathered: list[float] = distributed.gathered(losses.tolist())
    return sum(gathered) / len(gathered)
