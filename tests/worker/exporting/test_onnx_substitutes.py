"""What torch's tracing exporter has no ONNX for is written with other operators, for any batch and any free size."""

from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import fx, nn

from app.core.inputs import InputSpec
from tests.worker.importing.archives import Way, rebuilt_from
from worker.exporting import export
from worker.inputs import random_inputs
from worker.network import Network

SERIES = ("batch", 5, 6)
FREE_SERIES = ("batch", "time", 6)
IMAGE = ("batch", 3, 6, 9)
FREE_IMAGE = ("batch", 3, "height", "width")

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int | str, ...]]] = {
    "projected": (lambda: nn.LSTM(6, 8, proj_size=4, batch_first=True), SERIES),
    "projected, stacked, both ways": (
        lambda: nn.LSTM(6, 8, 2, proj_size=4, bidirectional=True, batch_first=True),
        FREE_SERIES,
    ),
    "projected, no bias": (lambda: nn.LSTM(6, 8, 3, bias=False, proj_size=3, batch_first=True), FREE_SERIES),
    "batch statistics": (lambda: nn.BatchNorm2d(3, track_running_stats=False), IMAGE),
    "batch statistics, plain": (lambda: nn.BatchNorm1d(5, affine=False, track_running_stats=False), SERIES),
    "stored statistics": (lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), FREE_IMAGE),
    "padding that differs by side": (lambda: nn.Conv2d(3, 2, (4, 3), padding="same", dilation=(1, 2)), FREE_IMAGE),
    "a divisor of its own": (lambda: nn.AvgPool2d(3, 2, 1, divisor_override=5), FREE_IMAGE),
    "above a number": (lambda: nn.Threshold(0.1, -1.0), FREE_SERIES),
    "mean of windows": (lambda: nn.AdaptiveAvgPool2d((4, 5)), IMAGE),
    "mean of equal windows": (lambda: nn.AdaptiveAvgPool2d(3), IMAGE),
    "mean of free sizes": (lambda: nn.AdaptiveAvgPool2d((4, None)), FREE_IMAGE),
    "largest of windows": (lambda: nn.AdaptiveMaxPool2d((4, 5)), IMAGE),
    "largest of free sizes": (lambda: nn.AdaptiveMaxPool2d(3), FREE_IMAGE),
    "largest of all": (lambda: nn.AdaptiveMaxPool1d(1), FREE_SERIES),
}
FUNCTIONS: dict[str, tuple[Callable[[fx.Graph, fx.Node], fx.Node], tuple[int | str, ...]]] = {
    "difference": (lambda graph, x: graph.call_function(torch.diff, (x, 2, 1)), FREE_SERIES),
    "difference with ends": (lambda graph, x: graph.call_function(torch.diff, (x, 1, -1, x, x)), SERIES),
    "running sum of truths": (
        lambda graph, x: graph.call_function(torch.cumsum, (graph.call_function(torch.gt, (x, 0)), -1)),
        SERIES,
    ),
    "threshold": (lambda graph, x: graph.call_function(torch.threshold, (x, 0.1, -1.0)), FREE_SERIES),
    "shuffled": (lambda graph, x: graph.call_function(torch.channel_shuffle, (x, 2)), ("batch", 4, 3, 3)),
    "every other one written": (
        lambda graph, x: graph.call_function(
            torch.slice_scatter, (x, graph.call_function(torch.narrow, (x, 2, 0, 3)), 2, None, None, 2)
        ),
        FREE_SERIES,
    ),
}


def exported(tmp_path: Path, module: fx.GraphModule, shape: tuple[int | str, ...]) -> tuple[Network, Path]:
    network = Network(module.eval(), (InputSpec(name="x", shape=shape),))
    path = tmp_path / "model.onnx"
    export(network, "onnx", path)
    return network, path


def assert_answers_alike(network: Network, path: Path) -> None:
    session = onnxruntime.InferenceSession(path)
    for batch, free_size in ((2, 16), (5, 11), (1, 7)):
        inputs = random_inputs(network.inputs, batch, seed=1, free_size=free_size)
        answers = session.run(None, {"x": inputs[0].numpy()})
        for answer, expected in zip(answers, network.run(*inputs), strict=True):
            torch.testing.assert_close(torch.from_numpy(answer), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer(tmp_path: Path, kind: str) -> None:
    make, shape = LAYERS[kind]
    torch.manual_seed(0)
    graph = fx.Graph()
    graph.output(graph.call_module("block.layer", (graph.placeholder("x"),)))
    block = nn.Module()
    block.layer = make()
    network, path = exported(tmp_path, fx.GraphModule({"block.layer": block.layer}, graph), shape)
    assert_answers_alike(network, path)
    computing = [node.name for node in onnx.load(path).graph.node if "layer" in node.name]
    assert all(name.startswith("/block/layer/") for name in computing)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_projected_layer_with_a_first_state(tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph = fx.Graph()
    x = graph.placeholder("x")
    states = [
        graph.call_function(torch.narrow, (graph.call_method("transpose", (x, 0, 1)), 2, 0, width)) for width in (4, 8)
    ]
    first = [graph.call_function(torch.narrow, (state, 0, 0, 2)) for state in states]
    graph.output(graph.call_module("layer", (x, tuple(first))))
    layer = nn.LSTM(8, 8, 2, proj_size=4, batch_first=True)
    network, path = exported(tmp_path, fx.GraphModule({"layer": layer}, graph), ("batch", 5, 8))
    assert_answers_alike(network, path)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function(tmp_path: Path, kind: str) -> None:
    write, shape = FUNCTIONS[kind]
    graph = fx.Graph()
    graph.output(write(graph, graph.placeholder("x")))
    assert_answers_alike(*exported(tmp_path, fx.GraphModule({}, graph), shape))


def test_the_network_keeps_its_layers(tmp_path: Path) -> None:
    graph = fx.Graph()
    graph.output(graph.call_module("layer", (graph.placeholder("x"),)))
    layer = nn.AdaptiveAvgPool2d(4)
    network, _ = exported(tmp_path, fx.GraphModule({"layer": layer}, graph), IMAGE)
    assert network.module.layer is layer


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("way", ["trace", "script"])
@pytest.mark.parametrize("shape", [("batch", 5, 8), ("batch", "time", 8)])
def test_attention_along_the_first_dimension(tmp_path: Path, way: Way, shape: tuple[int | str, ...]) -> None:
    """What torch's encoder does unless it is told `batch_first`."""
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    module = rebuilt_from(layer, lambda batch: (torch.rand(batch, 5, 8),), way).network
    assert_answers_alike(*exported(tmp_path, module, shape))
