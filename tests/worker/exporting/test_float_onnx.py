"""The file in float32 that others are made of: traced once, and again when its weights are others."""

import gc
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import fx, nn

from app.core.inputs import InputSpec
from worker.exporting.float_onnx import float_onnx
from worker.exporting.onnx_apart import load_graph, load_weights
from worker.network import Network


def network() -> Network:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)).eval())
    return Network(module, (InputSpec(name="x", shape=("batch", 8)),))


def answer(path: Path, example: torch.Tensor) -> np.ndarray:
    return np.asarray(InferenceSession(path).run(None, {"x": example.numpy()})[0])


def test_it_is_written_once_and_goes_with_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = network()
    path = float_onnx(traced)
    with monkeypatch.context() as patched:
        patched.setattr(torch.onnx, "export", None)
        assert float_onnx(traced) == path
    del traced
    gc.collect()
    assert not path.parent.exists()


def test_its_weights_lie_beside_it() -> None:
    """So that shapes and operators are read without them."""
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2)).eval())
    traced = Network(module, (InputSpec(name="x", shape=("batch", 64)),))
    path = float_onnx(traced)
    assert path.stat().st_size < module.get_parameter("0.weight").nbytes
    graph = load_graph(path)
    assert {each.name for each in graph.graph.initializer if not each.raw_data} == {"0.weight"}
    load_weights(graph, path)
    assert graph == onnx.load(path)


@pytest.mark.parametrize("changed", ["0.weight", "1.running_mean"])
def test_weights_that_were_changed_in_place_are_in_the_next_one(changed: str) -> None:
    traced, example = network(), torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    before = answer(float_onnx(traced), example)
    traced.module.state_dict()[changed].mul_(2).add_(1)
    after = answer(float_onnx(traced), example)
    assert not np.allclose(before, after, atol=1e-3)
    assert np.allclose(after, traced.run(example)[0].numpy(), atol=1e-5)
