"""A file of weights without their network: loaded as its own loader does, and compared with what it was written from.

There is nothing to run, and so no time, no memory of a call, and no quality.
"""

from collections.abc import Callable, Iterator, Mapping
from math import sqrt
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from app.core.layouts import plainly_named
from app.core.measurements import Verification
from app.core.messages import Progress
from app.core.tasks import FileMeasurement, Measure, WrittenFile
from worker.evaluation.verification import LOSSLESS_TOLERANCE, differs, does_not_load
from worker.exporting.load_network import load_state_dict
from worker.loading.state_dicts import read_tensors


def write_weights(module: nn.Module, path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, path)


def measure_weights(task: Measure, folder: Path, report: Callable[[Progress], None]) -> FileMeasurement:
    file = task.file
    report(Progress(fraction=0, message=f"Loading {file.name} afresh"))
    weights = _loaded(file, folder)
    assert file.probe is not None
    return FileMeasurement(name=file.name, verified=compared(file, weights, folder / file.probe), quality=None)


def _loaded(file: WrittenFile, folder: Path) -> dict[str, Tensor]:
    try:
        if file.role == "upload":
            return read_tensors(folder / file.path)
        description = next(companion for companion in file.companions if companion.endswith(".json"))
        return load_state_dict(folder / description, folder / file.path)
    except Exception as error:
        raise does_not_load(file, "can't be loaded by its own loader") from error


def compared(file: WrittenFile, weights: Mapping[str, Tensor], probe: Path) -> Verification:
    """With the tensors in `probe`, one after another. Raises `Problem` where names, shapes or types differ, or values
    of a file without loss by more than 1e-4 (of the largest, where that is above 1); what isn't a float must be equal.
    """
    difference = largest = dot = squares = squares_wanted = 0.0
    for name, wanted in _tensors(file, weights, probe):
        if not wanted.is_floating_point():
            _require(file, torch.equal(weights[name], wanted), name)
            continue
        one, other = _finite_values(file, name, weights[name], wanted)
        if one.numel():
            difference = max(difference, float((one - other).abs().max()))
            largest = max(largest, float(other.abs().max()))
        dot, squares, squares_wanted = (
            dot + _dot(one, other),
            squares + _dot(one, one),
            squares_wanted + _dot(other, other),
        )
    if not file.quantized and difference > LOSSLESS_TOLERANCE * max(1.0, largest):
        raise differs(file, f"its values are up to {difference:.2g} away from the weights'")
    lengths = sqrt(squares * squares_wanted)
    return Verification(loaded=True, max_difference=difference, cosine=min(1.0, dot / lengths) if lengths else None)


def _finite_values(file: WrittenFile, name: str, given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Of both, flat, in the same places; elsewhere they must be the same ones."""
    finite = wanted.isfinite()
    _require(file, torch.equal(given.isfinite(), finite), name)
    if finite.all():
        return given.flatten(), wanted.flatten()
    _require(file, bool(torch.isclose(given[~finite], wanted[~finite], equal_nan=True).all()), name)
    return given[finite], wanted[finite]


def _dot(one: Tensor, other: Tensor) -> float:
    return float(one.double() @ other.double())


def _tensors(file: WrittenFile, weights: Mapping[str, Tensor], probe: Path) -> Iterator[tuple[str, Tensor]]:
    with safe_open(probe, framework="pt") as expected:
        names = plainly_named({name: name for name in expected.keys()})  # noqa: SIM118 - no mapping
        if names.keys() != weights.keys():
            raise differs(file, "its tensors have other names than the weights")
        for name, its in names.items():
            wanted = expected.get_tensor(its)
            _require(file, (wanted.shape, wanted.dtype) == (weights[name].shape, weights[name].dtype), name)
            yield name, wanted


def _require(file: WrittenFile, equal: bool, name: str) -> None:
    if not equal:
        raise differs(file, f"{name} is not what it was written from")
