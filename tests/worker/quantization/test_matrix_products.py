"""Answers are compared to the bit: the integers' sums are the same, and so is what is done with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.worker.quantization.graphs import graph, in_int8, normal, run, stored
from worker.quantization.matrix_products import are_matrix_products_faster, write_matrix_products


def quantized(
    folder: Path, body: str, weights: dict[str, np.ndarray], x: np.ndarray, *, per_channel: bool = True
) -> onnx.ModelProto:
    shape = ", ".join(map(str, x.shape[1:]))
    model = graph(f"{body} p = GlobalMaxPool(a) y = Flatten(p)", weights, f"float[N, {shape}] x")
    return in_int8(folder, model, x, per_channel=per_channel)


def zero_points(model: onnx.ModelProto) -> list[set[int]]:
    """Of the weights of each convolution."""
    producers = {name: node for node in model.graph.node for name in node.output}
    read = [producers[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
    return [set(stored(model, node.input[2]).ravel().tolist()) for node in read]


def lowered(model: onnx.ModelProto, x: np.ndarray) -> list[set[int]]:
    """Zero points, once the answers were found to be the same for one example and for all."""
    before = [run(model, examples) for examples in (x[:1], x)]
    assert len(write_matrix_products(model)) == zero_points(model).count({-1})
    onnx.checker.check_model(model, full_check=True)
    assert all(map(np.array_equal, before, [run(model, examples) for examples in (x[:1], x)]))
    return zero_points(model)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(
    ("filters", "size"),
    [((64, 256, 1, 1), (6, 5)), ((70, 31, 3, 3), (6, 5)), ((64, 90, 3), (9,)), ((64, 10, 3, 3, 3), (4, 5, 6))],
)
def test_a_large_convolution_answers_the_same(
    tmp_path: Path, filters: tuple[int, ...], size: Sequence[int], strides: int, per_channel: bool
) -> None:
    x = normal(3, filters[1], *size)
    body = f"a = Conv<strides = {[strides] * len(size)}>(x, w, b)"
    model = quantized(tmp_path, body, {"w": normal(*filters), "b": normal(filters[0])}, x, per_channel=per_channel)
    assert lowered(model, x) == [{-1}]


def test_with_a_relu_and_without_a_bias(tmp_path: Path) -> None:
    x = normal(3, 64, 4, 4)
    model = quantized(tmp_path, "c = Conv(x, w) a = Relu(c)", {"w": normal(64, 64, 3, 3)}, x)
    assert lowered(model, x) == [{-1}]


@pytest.mark.parametrize(
    ("filters", "groups"),
    [((64, 255, 1, 1), 1), ((63, 256, 1, 1), 1), ((64, 256, 1, 1), 2)],
    ids=["few products", "few channels", "groups"],
)
def test_a_small_convolution_stays(tmp_path: Path, filters: tuple[int, ...], groups: int) -> None:
    x = normal(3, filters[1] * groups, 4, 4)
    model = quantized(tmp_path, f"a = Conv<group = {groups}>(x, w)", {"w": normal(*filters)}, x)
    assert lowered(model, x) == [{0}]


def test_weights_that_two_layers_read_are_lowered_once(tmp_path: Path) -> None:
    x = normal(3, 256, 4, 4)
    body = "b = Conv(x, w) c = Conv<strides = [2, 2], pads = [1, 1, 3, 3]>(x, w) a = Add(b, c)"
    model = quantized(tmp_path, body, {"w": normal(64, 256, 1, 1)}, x)
    assert lowered(model, x) == [{-1}, {-1}]


def test_weights_that_fill_int8_stay(tmp_path: Path) -> None:
    x = normal(3, 256, 4, 4)
    model = quantized(tmp_path, "a = Conv(x, w)", {"w": normal(64, 256, 1, 1)}, x)
    (weight,) = [tensor for tensor in model.graph.initializer if len(tensor.dims) > 1]
    full = stored(model, weight.name).copy()
    full.flat[0] = -128
    weight.CopyFrom(onnx.numpy_helper.from_array(full, weight.name))
    assert lowered(model, x) == [{0}]


def test_what_is_in_float_stays() -> None:
    model = graph("y = Conv(x, w)", {"w": normal(64, 256, 1, 1)}, "float[N, 256, 4, 4] x")
    before = model.SerializeToString()
    assert write_matrix_products(model) == []
    assert model.SerializeToString() == before


def test_what_is_faster_is_measured_once() -> None:
    assert are_matrix_products_faster() is are_matrix_products_faster()
    assert are_matrix_products_faster.cache_info().misses == 1
