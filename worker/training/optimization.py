"""Optimizers and how their learning rate moves."""

from collections.abc import Callable
from math import cos, pi

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from app.core.recipes.training import LearningRateSchedule, TrainingOptions

# Fractions of the learning rate, by the fraction of all updates that are done.
SCHEDULES: dict[LearningRateSchedule, Callable[[float], float]] = {
    "constant": lambda done: 1.0,  # noqa: ARG005
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + cos(pi * done)) / 2,
    "step": lambda done: 0.1 ** ((done >= 0.5) + (done >= 0.75)),
}


def optimizer_for(module: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """Weights decay; biases, norms and other vectors don't."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": options.decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum)
    kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=options.learning_rate)


def schedule_for(optimizer: torch.optim.Optimizer, options: TrainingOptions, updates: int) -> LambdaLR:
    """To be moved on after each of `updates` updates."""
    rising = round(options.warm_up * updates)
    fraction = SCHEDULES[options.learning_rate_schedule]

    def factor(update: int) -> float:
        if update < rising:
            return (update + 1) / (rising + 1)
        return fraction(min(1.0, (update - rising) / max(1, updates - rising)))

    return LambdaLR(optimizer, factor)
