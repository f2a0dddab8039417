"""One update of the weights at a time."""

from collections.abc import Callable

from torch import nn
from torch.nn.utils import clip_grad_norm_

from app.core.recipes.training import TrainingOptions
from worker.training.batches import Batch
from worker.training.objectives import Objective
from worker.training.optimization import optimizer_for, schedule_for


class Learner:
    """`updates` is how many there will be at most: the learning rate falls over all of them. `after_step` is called
    after each one."""

    def __init__(
        self,
        module: nn.Module,
        options: TrainingOptions,
        objective: Objective,
        updates: int,
        after_step: Callable[[], None] | None,
    ) -> None:
        self._module, self._objective, self._after_step = module, objective, after_step
        self._clipping = options.gradient_clipping
        self._optimizer = optimizer_for(module, options)
        self._schedule = schedule_for(self._optimizer, options, updates)
        self.learning_rate = options.learning_rate

    def learn(self, batch: Batch) -> float:
        """The batch's loss before the update, for which `learning_rate` is the one that was used."""
        self.learning_rate = float(self._schedule.get_last_lr()[0])
        self._optimizer.zero_grad()
        loss = self._objective(self._module, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._clipping is not None:
            clip_grad_norm_(self._module.parameters(), self._clipping)
        self._optimizer.step()
        self._schedule.step()
        if self._after_step is not None:
            self._after_step()
        return loss.item()
