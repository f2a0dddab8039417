"""Does a data set fit a network? Found out before anything is computed."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from app.core.errors import Invalid
from app.core.inputs import InputSpec
from worker.arrays import Array
from worker.data import Dataset, Examples, NetworkData
from worker.evaluation.answers import class_axis
from worker.finite_arrays import check_fits_float32
from worker.inputs import as_inputs
from worker.network import Network

_ROWS_AT_ONCE = 4096


def fitting_data(network: Network, dataset: Dataset) -> NetworkData:
    """The data set under the network's input names. Raises Invalid where either can't take the other."""
    data = _under_names(dataset, network.inputs)
    _check_range(network.inputs, dataset)
    arrays, _ = data.test.take(range(min(2, len(data.test))))
    output = network.run(*as_inputs(network.inputs, arrays))[0]
    for half in (data.train, data.test):
        _check_labels(half, output)
    return data


def fits_inputs(inputs: Sequence[InputSpec], dataset: Dataset) -> bool:
    try:
        _under_names(dataset, inputs)
    except Invalid:
        return False
    return True


def _under_names(dataset: Dataset, inputs: Sequence[InputSpec]) -> NetworkData:
    data = dataset.for_network(tuple(inputs))
    for half in (data.train, data.test):
        for spec in inputs:
            check_input(spec, half.inputs[spec.name])
    return data


def check_input(spec: InputSpec, array: Array) -> None:
    expected, given = spec.shape[1:], array.shape[1:]
    same = len(expected) == len(given) and all(
        isinstance(e, str) or e == g for e, g in zip(expected, given, strict=True)
    )
    if not same:
        raise _does_not_fit(
            f"The network's input {spec.name} has the shape {['batch', *expected]}, and the data set's examples have "
            f"{['batch', *given]}. Give the data set's arrays the network's shape."
        )
    if spec.dtype.startswith(("int", "uint")):
        _check_integers(spec, array)


def _check_integers(spec: InputSpec, array: Array) -> None:
    if array.dtype.kind not in "iub":
        raise _does_not_fit(f"The network's input {spec.name} takes integers, and the data set holds {array.dtype}.")
    low, high = spec.low, spec.high
    for start in range(0, len(array), _ROWS_AT_ONCE):
        values = array[slice(start, start + _ROWS_AT_ONCE)]
        if (low is not None and values.min() < low) or (high is not None and values.max() >= high):
            raise _does_not_fit(
                f"The network's input {spec.name} takes integers from {low} to {high} (exclusive), and the data set "
                f"holds {values.min()} to {values.max()}. Correct the data, or the model's `inputs`."
            )


def _check_range(inputs: Sequence[InputSpec], dataset: Dataset) -> None:
    """Half precision is widened: what doesn't take float64 is computed in float32."""
    in_float64 = {spec.name for spec in inputs if spec.dtype == "float64"}
    for name, array in dataset.arrays.items():
        if (name.partition(".")[2] or inputs[0].name) not in in_float64:
            check_fits_float32(name, array)


def _check_labels(examples: Examples, output: Tensor) -> None:
    if examples.labels is None:
        return
    labels = np.asarray(examples.labels[examples.rows])
    if labels.dtype.kind == "f":
        _check_targets(labels, output)
    else:
        _check_classes(labels, output)


def _check_targets(targets: np.ndarray, output: Tensor) -> None:
    if targets[0].size != output[0].numel():
        raise _does_not_fit(
            f"Each label holds {targets[0].size} numbers, and the network answers {output[0].numel()}. Give labels the "
            "shape of the network's answers, or make them integers if they are classes."
        )


def _check_classes(labels: np.ndarray, output: Tensor) -> None:
    axis = class_axis(output.numpy(), labels[: len(output)])
    classes = output.shape[axis] if output.ndim > 1 and output.shape[axis] > 1 else 2
    if int(labels.max()) >= classes:
        raise Invalid(
            f"The labels go up to {int(labels.max())}, and the network tells {classes} classes apart (0 to "
            f"{classes - 1}). Number the classes from 0, or choose the model that fits this data set.",
            code="labels_out_of_range",
            title="The labels don't fit the network",
        )


def _does_not_fit(detail: str) -> Invalid:
    return Invalid(detail, code="data_does_not_fit", title="The data set doesn't fit the network")
