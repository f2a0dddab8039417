"""What a network was asked when its files were written, and what it answered: an .npz of `input.NAME` and
`output.NUMBER`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.core.inputs import InputSpec
from worker.evaluation.runtimes import Array


def read_probe(path: Path, inputs: Sequence[InputSpec]) -> tuple[list[Tensor], list[Array]]:
    """The inputs in order, and every output."""
    with np.load(path, allow_pickle=False) as probe:
        asked = [torch.from_numpy(probe[f"input.{spec.name}"]) for spec in inputs]
        outputs = sum(name.startswith("output.") for name in probe.files)
        return asked, [probe[f"output.{position}"] for position in range(outputs)]
