"""Is a written file what it should be? It is loaded afresh and asked what the network was asked when it was written."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from app.core.errors import Problem
from app.core.inputs import Input, InputSpec
from app.core.measurements import Verification
from app.core.tasks import WrittenFile
from worker.evaluation.answers import cosine_over_all, joined, relative_error
from worker.evaluation.arithmetic import arithmetic_of
from worker.evaluation.probe import read_probe
from worker.evaluation.runtimes import Array, Runtime, load_runtime

LOSSLESS_TOLERANCE = 1e-4
# Of the answers' variance: their squared error by 8 binary digits in some hundred layers, and far below that of another
# network.
BFLOAT16_TOLERANCE = 0.05


def load(file: WrittenFile, folder: Path, inputs: Sequence[Input], threads: int = 1) -> Runtime:
    try:
        return load_runtime(file, folder, inputs, threads)
    except Problem:
        raise
    except Exception as error:  # each runtime has its own kinds, and none of their words are for our reader
        raise does_not_load(file, "can't be loaded by its own runtime") from error


def run(file: WrittenFile, runtime: Runtime, inputs: Sequence[Tensor]) -> list[Array]:
    try:
        return runtime(inputs)
    except Exception as error:
        raise does_not_load(file, "loads, but fails when it is run on its inputs") from error


def verify(file: WrittenFile, runtime: Runtime, folder: Path, inputs: Sequence[InputSpec]) -> Verification:
    """Compares with the file's probe, over all outputs together.

    A file written without loss (not `quantized`) may differ by at most 1e-4, or by 1e-4 of the network's largest
    absolute answer where that is above 1; one that computes in bfloat16 by a mean squared error of at most a twentieth
    of the answers' variance. Answers that aren't finite must be the same ones in both.
    """
    if file.probe is None:
        return Verification(loaded=True, max_difference=None, cosine=None)
    asked, expected = read_probe(folder / file.probe, inputs)
    answers = run(file, runtime, asked)
    if [a.shape for a in answers] != [e.shape for e in expected]:
        raise differs(file, "its outputs have other shapes than the network's")
    given, wanted = joined(answers), joined(expected)
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(given)):
        raise differs(file, "some of its answers are not finite numbers where the network's are, or the reverse")
    if file.quantized and arithmetic_of(file, folder) == ("bfloat16",):
        _check_is_near(file, given[finite], wanted[finite])
    return _compared(file, given[finite], wanted[finite])


def _check_is_near(file: WrittenFile, given: Array, wanted: Array) -> None:
    error = relative_error(given, wanted)
    if error > BFLOAT16_TOLERANCE:
        raise differs(
            file,
            f"the mean squared error of its answers is {error:.2g} of their variance ({BFLOAT16_TOLERANCE} allowed). "
            "bfloat16 has 8 binary digits, too few where small differences matter: set `compute` to float32",
        )


def _compared(file: WrittenFile, given: Array, wanted: Array) -> Verification:
    difference = float(np.abs(given - wanted).max(initial=0.0))
    allowed = LOSSLESS_TOLERANCE * max(1.0, float(np.abs(wanted).max(initial=0.0)))
    if not file.quantized and difference > allowed:
        raise differs(file, f"its answers are up to {difference:.2g} away from the network's ({allowed:.2g} allowed)")
    return Verification(loaded=True, max_difference=difference, cosine=cosine_over_all(given, wanted))


def does_not_load(file: WrittenFile, what: str) -> Problem:
    if file.role == "upload":
        return Problem(
            f"The upload {what}. Check that the model's `inputs` and the data set's arrays are what it takes.",
            code="upload_does_not_run",
            title="The uploaded network can't be measured",
        )
    return Problem(
        f"{file.name} was written but {what}, so it is not delivered. Ask for another entry of `outputs`, or leave "
        "out the last step of the recipe.",
        code="artifact_does_not_load",
        title="A written file can't be used",
        step=file.step,
    )


def differs(file: WrittenFile, what: str) -> Problem:
    return Problem(
        f"{file.name} doesn't answer as the network it was written from: {what}. It is not delivered. Ask for "
        "another entry of `outputs`.",
        code="artifact_differs",
        title="A written file answers differently",
        step=file.step,
    )
