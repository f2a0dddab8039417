"""A few examples with a written file's own answers, for others to see that it runs as it did here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.core.inputs import InputSpec
from app.core.tasks import WrittenFile
from worker.evaluation.probe import read_probe
from worker.evaluation.runtimes import Runtime
from worker.evaluation.verification import run

LARGEST_BYTES = 1 << 18


def write_sample(file: WrittenFile, runtime: Runtime, folder: Path, inputs: Sequence[InputSpec]) -> str | None:
    """An .npz of `input.NAME` and `output.NUMBER`, beside the file; its path, or None of a file without a probe.

    As many of the probe's examples as fit into 256 kB, at least one.
    """
    if file.probe is None:
        return None
    asked, _ = read_probe(folder / file.probe, inputs)
    one_example = sum(tensor[:1].nbytes for tensor in asked)
    examples = tuple(tensor[: max(1, LARGEST_BYTES // max(1, one_example))] for tensor in asked)
    named = {f"input.{spec.name}": tensor.numpy() for spec, tensor in zip(inputs, examples, strict=True)}
    answers = {f"output.{number}": answer for number, answer in enumerate(run(file, runtime, examples))}
    path = f"outputs/{file.name}.sample.npz"
    np.savez_compressed(folder / path, allow_pickle=False, **named, **answers)
    return path
