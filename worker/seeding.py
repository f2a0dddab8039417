"""Same seed, same result."""

import random

import numpy
import torch


def seed_everything(seed: int) -> None:
    """Of this process's random numbers; those who can take them from a generator of their own."""
    random.seed(seed)
    numpy.random.seed(seed % (1 << 32))
    torch.manual_seed(seed)
