"""Layers of ONNX files that compute with packed weights: what levels they hold, read from what they answer."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from app.core.recipes import WeightQuantization
from worker.packing.in_onnx import pack_weights
from worker.packing.methods import quantized
from worker.packing.packed import Packed, RowsScaled

KERNELS = {"MatMulNBits", "GatherBlockQuantized"}


def of_one_node(node: onnx.NodeProto, taken: int, rank: int, **stored: Tensor) -> onnx.ModelProto:
    sizes = ["batch", *[f"size{axis}" for axis in range(1, rank)]]
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", taken, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def product(weight: Tensor, operator: str, rank: int = 2) -> onnx.ModelProto:
    """`weight` is of shape (outputs, inputs)."""
    if operator == "MatMul":
        node = helper.make_node("MatMul", ["x", "weight"], ["y"], name="/fc/MatMul")
        return of_one_node(node, TensorProto.FLOAT, rank, weight=weight.T.contiguous())
    turned = operator == "Gemm turned"
    node = helper.make_node("Gemm", ["x", "weight", "bias"], ["y"], name="/fc/Gemm", transB=int(turned))
    bias = torch.zeros(len(weight))
    return of_one_node(node, TensorProto.FLOAT, rank, weight=weight if turned else weight.T.contiguous(), bias=bias)


def answer(model: onnx.ModelProto, x: np.ndarray) -> Tensor:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"x": x})[0])


def packed_as(model: onnx.ModelProto, step: WeightQuantization, factors: Tensor | None = None) -> Packed:
    """The only weight of the model, which is packed in place."""
    found: list[Packed] = []

    def pack(weight: object) -> Packed | RowsScaled | None:
        if weight.values.ndim < 2:
            return None
        found.append(quantized(step, weight.values, weight.rows))
        return found[0] if factors is None else RowsScaled(found[0], factors)

    assert pack_weights(model, (), pack) == 1
    return found[0]


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def random_weight(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows * columns)) * 0.05


METHODS = [("affine", 8), ("symmetric", 8), ("affine", 4), ("symmetric", 4), ("estimation", 4), ("hqq", 4),
           ("hqq", 8), ("affine", 2), ("ternary", 2), ("hqq", 2)]  # fmt: skip


@pytest.mark.parametrize("columns", [256, 784, 20, 48])
@pytest.mark.parametrize(("method", "bits"), METHODS)
def test_a_product_has_exactly_the_levels_of_its_method(method: str, bits: int, columns: int) -> None:
    """One input at a time is nothing that rounding activations to int8 could change."""
    model = product(random_weight(24, columns), "Gemm turned")
    step = WeightQuantization(method=method, bits=bits, group_size=128)
    packed = packed_as(model, step)
    assert operators(model) & KERNELS == {"MatMulNBits"}
    assert "Gemm" not in operators(model)
    levels = answer(model, np.eye(columns, dtype=np.float32)).T
    torch.testing.assert_close(levels, packed.unpacked(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("group_size", [16, 48, 96, 512, None])
@pytest.mark.parametrize("method", ["affine", "hqq"])
def test_groups_of_other_sizes_are_cut_into_blocks(method: str, group_size: int | None) -> None:
    model = product(random_weight(16, 1536), "Gemm")
    packed = packed_as(model, WeightQuantization(method=method, bits=4, group_size=group_size))
    assert "MatMulNBits" in operators(model)
    levels = answer(model, np.eye(1536, dtype=np.float32)).T
    torch.testing.assert_close(levels, packed.unpacked(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["affine", "hqq"])
def test_series_are_multiplied_step_by_step(method: str) -> None:
    model = product(random_weight(12, 256), "MatMul", rank=3)
    packed = packed_as(model, WeightQuantization(method=method, bits=4))
    x = torch.randn(2, 5, 256, generator=torch.Generator().manual_seed(1))
    expected = x @ packed.unpacked().T
    found = answer(model, x.numpy())
    assert found.shape == expected.shape
    assert float((found - expected).norm() / expected.norm()) < 0.01


def test_rows_may_have_factors() -> None:
    factors = torch.rand(24, 1, generator=torch.Generator().manual_seed(3)) + 0.5
    for method in ("affine", "hqq"):
        model = product(random_weight(24, 256), "MatMul")
        packed = packed_as(model, WeightQuantization(method=method, bits=4), factors)
        levels = answer(model, np.eye(256, dtype=np.float32)).T
        torch.testing.assert_close(levels, packed.unpacked() * factors, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("columns", [64, 20, 96])
@pytest.mark.parametrize(("method", "bits"), [("affine", 8), ("symmetric", 8), ("affine", 4), ("symmetric", 2)])
def test_a_lookup_reads_packed_rows(method: str, bits: int, columns: int) -> None:
    node = helper.make_node("Gather", ["weight", "x"], ["y"], name="/embedding/Gather")
    model = of_one_node(node, TensorProto.INT64, 2, weight=random_weight(40, columns))
    packed = packed_as(model, WeightQuantization(method=method, bits=bits, group_size=128))
    assert operators(model) & KERNELS == {"GatherBlockQuantized"}
    numbers = np.random.default_rng(0).integers(0, 40, (3, 5))
    torch.testing.assert_close(answer(model, numbers), packed.unpacked()[torch.from_numpy(numbers)])


@pytest.mark.parametrize(
    ("step", "columns"),
    [
        (WeightQuantization(bits=3), 256),
        (WeightQuantization(method="kmeans", bits=4), 256),
        (WeightQuantization(method="binary"), 512),
        (WeightQuantization(bits=4, group_size=24), 240),
    ],
)
def test_what_no_kernel_takes_is_unpacked_as_before(step: WeightQuantization, columns: int) -> None:
    model = product(random_weight(24, columns), "Gemm turned")
    packed = packed_as(model, step)
    assert not operators(model) & KERNELS
    torch.testing.assert_close(answer(model, np.eye(columns, dtype=np.float32)).T, packed.unpacked())


def test_a_weight_that_is_looked_up_and_multiplied_is_unpacked() -> None:
    nodes = [
        helper.make_node("Gather", ["weight", "ids"], ["rows"], name="/embedding/Gather"),
        helper.make_node("Gemm", ["rows", "weight"], ["y"], name="/fc/Gemm", transB=1),
    ]
    weight = numpy_helper.from_array(random_weight(40, 64).numpy(), "weight")
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])
    answers = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 40])
    model = helper.make_model(
        helper.make_graph(nodes, "graph", [ids], [answers], [weight]), opset_imports=[helper.make_opsetid("", 18)]
    )
    packed_as(model, WeightQuantization(bits=4))
    assert not operators(model) & KERNELS


@pytest.mark.parametrize("group_size", [32, 256, None])
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_blocks_are_of_sizes_that_have_quick_kernels(bits: int, group_size: int | None) -> None:
    """In blocks of 256, two bits would be made float32 in each call."""
    model = product(random_weight(8, 2048), "Gemm turned")
    packed_as(model, WeightQuantization(bits=bits, group_size=group_size))
    (node,) = (node for node in model.graph.node if node.op_type == "MatMulNBits")
    fields = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    assert fields["block_size"] == min(128, group_size or 128)
    assert fields["accuracy_level"] == 4
