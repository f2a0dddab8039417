"""Weights that were adjusted in an ONNX file go back into the network of torch that it was written from."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, fx, nn

from app.core.errors import Problem
from app.core.inputs import InputSpec
from worker.exporting.onnx import export_onnx
from worker.network import Network
from worker.quantization.adjusted_weights import take_over_adjusted
from worker.quantization.equalization import equalize
from worker.quantization.weighted_nodes import replace_values

FEED = {"x": np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)}


class Unequal(nn.Module):
    """One channel of the first layer is a thousand times the others, and the second layer takes it back."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 4)
        self.shift = nn.Parameter(torch.zeros(4))
        with torch.no_grad():
            self.first.weight[0] *= 1000
            self.second.weight[:, 0] /= 1000

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x))) + self.shift


@pytest.fixture
def module() -> fx.GraphModule:
    torch.manual_seed(0)
    return fx.symbolic_trace(Unequal().eval())


@pytest.fixture
def model(module: fx.GraphModule, tmp_path: Path) -> onnx.ModelProto:
    inputs = (InputSpec(name="x", shape=("batch", 6), dtype="float32"),)
    export_onnx(Network(module, inputs), tmp_path / "model.onnx")
    return onnx.load(tmp_path / "model.onnx")


def test_weights_and_biases_are_taken_over(module: fx.GraphModule, model: onnx.ModelProto) -> None:
    before = module(torch.from_numpy(FEED["x"]))
    assert equalize(model)
    take_over_adjusted(module, model, FEED)
    assert module.get_parameter("first.weight")[0].abs().max() < 20
    assert torch.allclose(module(torch.from_numpy(FEED["x"])), before, rtol=1e-3, atol=1e-3)


def test_a_network_that_would_answer_otherwise_is_refused(module: fx.GraphModule, model: onnx.ModelProto) -> None:
    """Here because the file holds something that the network has no such parameter for."""
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == "shift")
    replace_values(stored, np.ones(4))
    stored.name = "elsewhere"
    for node in model.graph.node:
        node.input[:] = ["elsewhere" if name == "shift" else name for name in node.input]
    with pytest.raises(Problem) as refused:
        take_over_adjusted(module, model, FEED)
    assert refused.value.code == "output_unavailable"
