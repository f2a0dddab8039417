"""Sizes in ONNX files are constants where they follow from nothing that is free."""

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from app.core.inputs import InputSpec
from tests.worker.importing.archives import Way, rebuilt_from
from worker.exporting import export
from worker.exporting.onnx_sizes import compute_sizes
from worker.inputs import random_inputs
from worker.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")


def exported(tmp_path: Path, way: Way, shape: tuple[int | str, ...]) -> tuple[Network, Path]:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    network = Network(
        rebuilt_from(layer, lambda batch: (torch.rand(batch, 5, 8),), way).network, (InputSpec(name="x", shape=shape),)
    )
    export(network, "onnx", tmp_path / "model.onnx")
    return network, tmp_path / "model.onnx"


def kinds(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("way", ["trace", "script"])
def test_attention_computes_no_size_where_only_the_batch_is_free(tmp_path: Path, way: Way) -> None:
    network, path = exported(tmp_path, way, ("batch", 5, 8))
    found = kinds(path)
    assert not found.keys() & {"Shape", "Concat", "Cast", "Div", "Slice", "Expand"}, found
    assert found["Reshape"] > 3
    session = onnxruntime.InferenceSession(path)
    for batch in (1, 2, 3, 17):
        (x,) = random_inputs(network.inputs, batch, seed=batch)
        torch.testing.assert_close(torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), network.run(x)[0])


def test_two_free_sizes_stay_free(tmp_path: Path) -> None:
    network, path = exported(tmp_path, "script", ("batch", "time", 8))
    assert kinds(path)["Shape"] > 0
    session = onnxruntime.InferenceSession(path)
    for batch, time in ((1, 3), (4, 9)):
        (x,) = random_inputs(network.inputs, batch, seed=batch, free_size=time)
        torch.testing.assert_close(torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), network.run(x)[0])


def model_of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    stored = {"zero": [0], "two": [2], "far": [1000], "sizes": [-1]}
    weights = [numpy_helper.from_array(torch.tensor(each).numpy(), name) for name, each in stored.items()]
    graph = helper.make_graph(list(nodes), "graph", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_what_depends_on_a_free_size_is_left() -> None:
    """Even where it is the same for every batch that is ever tried."""
    model = model_of(
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Div", ["batch", "far"], ["thousands"]),
        helper.make_node("Cast", ["thousands"], ["number"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Add", ["x", "number"], ["y"]),
    )
    compute_sizes(model)
    assert operators(model) == ["Shape", "Gather", "Div", "Cast", "Add"]


def test_what_is_random_is_not_worked_out() -> None:
    model = model_of(
        helper.make_node("RandomUniform", [], ["noise"], shape=[4]), helper.make_node("Add", ["x", "noise"], ["y"])
    )
    compute_sizes(model)
    assert operators(model) == ["RandomUniform", "Add"]


def test_a_size_that_is_given_as_whatever_is_left_over_stays_so() -> None:
    """Beside one that is free it says nothing of itself."""
    model = model_of(
        helper.make_node("Shape", ["x"], ["shape"], end=1),
        helper.make_node("Concat", ["shape", "two", "sizes"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    )
    compute_sizes(model)
    assert operators(model) == ["Shape", "Concat", "Reshape"]


def test_branches_are_not_touched() -> None:
    nothing = helper.make_graph([helper.make_node("Identity", ["x"], ["kept"])], "branch", [], [])
    nothing.output.append(helper.make_tensor_value_info("kept", onnx.TensorProto.FLOAT, None))
    model = model_of(
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["truth"], to=onnx.TensorProto.BOOL),
        helper.make_node("If", ["truth"], ["y"], then_branch=nothing, else_branch=nothing),
    )
    before = model.SerializeToString()
    compute_sizes(model)
    assert model.SerializeToString() == before
