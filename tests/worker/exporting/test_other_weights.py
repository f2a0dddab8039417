"""Of networks that differ in their weights alone one is traced; the other's file is what tracing would give."""

import gc
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import fx, nn

from tests.worker.importance.runs import network_of
from worker.exporting.float_onnx import float_onnx
from worker.network import Network


class Tied(nn.Module):
    """An embedding whose weight is the head's, too, and norms that are all equal."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.first, self.second = nn.LayerNorm(16), nn.LayerNorm(16)
        self.middle = nn.Linear(16, 16)
        self.head = nn.Linear(16, 40, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.first(self.embedding(ids))
        return self.head(self.second(self.middle(x)))


class Scaled(nn.Module):
    """Numbers of it are worked out when it is written: by the exporter, or by ourselves."""

    def __init__(self, by_exporter: bool) -> None:
        super().__init__()
        self.by_exporter = by_exporter
        self.layer = nn.Linear(8, 4)
        self.factor = nn.Parameter(torch.tensor([2.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * (self.factor * 3 if self.by_exporter else torch.maximum(self.factor, self.factor))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def normed() -> nn.Module:
    return nn.Sequential(nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6), nn.Flatten(), nn.Linear(36, 4))


MAKES = {
    "perceptron": lambda: network_of(perceptron(), (8,)),
    "normed": lambda: network_of(normed(), (3, 8)),
    "tied": lambda: network_of(Tied(), (8,), "int64", low=0, high=40),
    "scaled by the exporter": lambda: network_of(Scaled(by_exporter=True), (8,)),
    "scaled": lambda: network_of(Scaled(by_exporter=False), (8,)),
}


def with_other(given: Network, *names: str) -> Network:
    """As a step does it: a copy, with some of its tensors changed, or all."""
    module = deepcopy(given.module)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and (name in names or not names):
                tensor.mul_(1.5).add_(torch.rand_like(tensor))
    return replace(given, module=module)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Grows by one with each network that is traced."""
    gc.collect()  # networks of other tests, which may be the same
    calls: list[object] = []
    export = torch.onnx.export

    def counted(*arguments: object, **named: object) -> object:
        calls.append(arguments[0])
        return export(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.onnx, "export", counted)
    return calls


def same_as_traced(path: Path, given: Network) -> bool:
    """Node by node, and each stored tensor to the bit."""
    own, wanted = onnx.load(path).graph, onnx.load(float_onnx(replace(given, module=alone(given)))).graph
    tensors = [{each.name: numpy_helper.to_array(each) for each in graph.initializer} for graph in (own, wanted)]
    assert tensors[0].keys() == tensors[1].keys()
    assert all(np.array_equal(values, tensors[1][name]) for name, values in tensors[0].items())
    return list(own.node) == list(wanted.node)


def alone(given: Network) -> fx.GraphModule:
    """Like no other network, so that it is traced."""
    module = deepcopy(given.module)
    module.add_module("unused", nn.Identity())
    return module


@pytest.mark.parametrize(
    ("kind", "names", "traces"),
    [
        ("perceptron", (), 1),
        ("perceptron", ("0.weight",), 1),
        ("perceptron", ("2.bias",), 1),
        ("normed", (), 1),
        ("normed", ("0.weight",), 1),  # into which the exporter folds the norm
        ("normed", ("1.running_var",), 1),
        ("tied", ("embedding.weight",), 1),
        ("tied", ("middle.weight", "middle.bias"), 1),
        ("scaled", ("layer.weight",), 1),
        ("tied", ("first.weight",), 2),  # no longer equal to the other norm's, with which it is stored
        ("scaled", ("factor",), 2),
        ("scaled by the exporter", ("factor",), 2),
        ("scaled by the exporter", ("layer.weight",), 2),
    ],
)
def test_it_is_traced_again_only_where_nothing_else_would_do(
    kind: str, names: tuple[str, ...], traces: int, traced: list[object]
) -> None:
    first = MAKES[kind]()
    float_onnx(first)
    second = with_other(first, *names)
    path = float_onnx(second)
    assert len(traced) == traces
    assert same_as_traced(path, second)


def other_slope(module: fx.GraphModule) -> None:
    module.get_submodule("1").negative_slope = 0.3


def no_bias(module: fx.GraphModule) -> None:
    module.get_submodule("2").bias = None


def narrower(module: fx.GraphModule) -> None:
    """As a layer of a network's own is, which has no fields that say how wide it is."""
    for name, shape in (("0.weight", (12, 8)), ("0.bias", (12,)), ("2.weight", (4, 12))):
        owner, _, field = name.partition(".")
        setattr(module.get_submodule(owner), field, nn.Parameter(torch.rand(shape)))


@pytest.mark.parametrize("change", [other_slope, no_bias, narrower])
def test_what_differs_in_more_than_values_is_another_network(
    change: Callable[[fx.GraphModule], None], traced: list[object]
) -> None:
    first = network_of(nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.1), nn.Linear(16, 4)), (8,))
    float_onnx(first)
    second = replace(first, module=deepcopy(first.module))
    change(second.module)
    path = float_onnx(second)
    assert len(traced) == 2
    assert same_as_traced(path, second)
