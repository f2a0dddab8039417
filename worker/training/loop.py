"""The training loop that every technique that learns shares: `train`."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import Literal

import torch
from torch import nn

from app.core.recipes.training import TrainingOptions
from worker.run import Run
from worker.training.augmentation import augmented
from worker.training.batches import Batches
from worker.training.checkpoint import Checkpoint
from worker.training.clock import Clock
from worker.training.divergence import Diverged
from worker.training.freezing import to_training_mode, trained_only
from worker.training.history import Ending, History
from worker.training.learner import Learner
from worker.training.multithreading import threads
from worker.training.objectives import Objective
from worker.training.split import split
from worker.training.validation import Judges, most_examples

Kept = Literal["best", "last"]


def train(
    module: nn.Module,
    options: TrainingOptions,
    objective: Objective,
    run: Run,
    *,
    after_step: Callable[[], None] | None = None,
    message: str = "Training",
    layers: Collection[str] | None = None,
    keep: Kept = "best",
    use_labels: bool = True,
    seed: int | None = None,
) -> History:
    """Trains `module` in place and leaves it in evaluation mode, with the weights that validation found best (those it
    came with, where none were better) or, by `keep`, the last.

    `after_step` is called after each update of the weights, `layers` names those that may change (None: all).
    `use_labels` says whether validation may look at them: otherwise it compares with the upload. `seed` is the run's
    where it isn't given. The same seed gives the same weights, unless `options.seconds` ends it.

    Raises Problem `training_diverged` with the weights that it came with in `module`, if the loss stops being a number
    before any epoch was better; afterwards that is a warning, and the end.
    """
    assert run.data is not None, "a recipe that trains is refused without data"
    with torch.random.fork_rng(devices=[]), threads(options.threads), trained_only(module, layers):
        torch.manual_seed(run.seed if seed is None else seed)
        parts = split(run.data.train, options.validation, most_examples(run))
        batches = Batches(parts.training, run.data.inputs, options.batch_size)
        judges = Judges.on(parts, run, options.batch_size, use_labels=use_labels)
        learner = Learner(module, options, objective, options.epochs * len(batches), after_step)
        return _Training(module, options, run, batches, judges, learner, message, keep).outcome()


@dataclass
class _Training:
    module: nn.Module
    options: TrainingOptions
    run: Run
    batches: Batches
    judges: Judges
    learner: Learner
    message: str
    keep: Kept

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(torch.initial_seed())
        self.history = History(self.judges.metric, self.judges.validation.judge(self.module))
        self.checkpoint = Checkpoint(self.module)
        self.clock = Clock(self.options.seconds)

    def outcome(self) -> History:
        try:
            self.history.ending = self._ending()
        except Diverged as diverged:
            self._go_back(diverged)
        else:
            if self.keep == "best":
                self.checkpoint.restore()
        self.module.eval()
        return self.history

    def _ending(self) -> Ending:
        for epoch in range(1, self.options.epochs + 1):
            self._end_epoch(epoch, self._mean_loss(epoch))
            if self.clock.is_over:
                return "seconds"
            if self.options.early_stop and self.history.epochs_since_best >= self.options.patience:
                return "early_stop"
        return "epochs"

    def _mean_loss(self, epoch: int) -> float:
        """Of the batches of an epoch, which are learned."""
        to_training_mode(self.module)
        losses: list[float] = []
        for batch in self.batches.shuffled(self.generator):
            losses.append(self.learner.learn(augmented(batch, self.options.augmentation, self.generator)))
            if not isfinite(losses[-1]):
                raise Diverged(epoch, len(losses))
            self._tell(epoch, len(losses))
            if self.clock.is_over:
                break
        if not all(bool(parameter.isfinite().all()) for parameter in self.module.parameters()):
            raise Diverged(epoch, len(losses))
        return fmean(losses)

    def _tell(self, epoch: int, done: int) -> None:
        if self.clock.is_time_to_tell():
            fraction = (epoch - 1 + done / len(self.batches)) / self.options.epochs
            self.run.progress(
                max(fraction, self.clock.fraction),
                f"{self.message}: epoch {epoch} of {self.options.epochs}, {done} of {len(self.batches)} batches",
            )

    def _end_epoch(self, number: int, loss: float) -> None:
        validation, training = self.judges.validation.judge(self.module), self.judges.training.judge(self.module)
        best = self.history.is_better(validation)
        self.run.epoch(
            epoch=number,
            epochs=self.options.epochs,
            loss=loss,
            learning_rate=self.learner.learning_rate,
            seconds=self.clock.lap(),
            metric=self.history.metric,
            training_quality=None if training is None else training.quality,
            validation_quality=None if validation is None else validation.quality,
            best=best,
        )
        self.history.epochs.append(self.run.epochs[-1])
        if best:
            self.history.best, self.history.best_epoch = validation, number
            self.checkpoint.keep()

    def _go_back(self, diverged: Diverged) -> None:
        """To the last good weights."""
        self.checkpoint.restore()
        self.module.eval()
        self.history.ending = "diverged"
        if not self.history.best_epoch:
            raise diverged.problem(self.options)
        self.run.warn(diverged.warning(self.history.best_epoch, self.options))
