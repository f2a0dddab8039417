import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnxruntime import InferenceSession
from torch import nn

from worker.quantization.fake_quantization import (
    FakeQuantizedActivation,
    FakeQuantizedLayer,
    LearnedActivation,
    fake_quantized_weight,
)
from worker.quantization.rounding import Rounding

SCALE, ZERO_POINT = 0.037, 91
LOW, HIGH = -ZERO_POINT * SCALE, (255 - ZERO_POINT) * SCALE


def by_the_runtime(values: np.ndarray) -> np.ndarray:
    constants = [
        numpy_helper.from_array(np.array(SCALE, np.float32), "scale"),
        numpy_helper.from_array(np.array(ZERO_POINT, np.uint8), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["integers"]),
        helper.make_node("DequantizeLinear", ["integers", "scale", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "rounding", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return InferenceSession(model.SerializeToString()).run(None, {"x": values})[0]


def test_activations_are_rounded_as_by_the_runtime() -> None:
    values = np.random.default_rng(0).uniform(1.5 * LOW, 1.5 * HIGH, 10_000).astype(np.float32)
    found = FakeQuantizedActivation(SCALE, ZERO_POINT)(torch.from_numpy(values)).numpy()
    assert np.abs(found - by_the_runtime(values)).max() < 1e-5
    assert np.abs(found - values)[(values > LOW) & (values < HIGH)].max() > 0.4 * SCALE


def test_a_learned_range_begins_as_the_fixed_one_and_its_step_has_the_papers_gradient() -> None:
    """Inside the range round(v / s) - v / s for each value, outside of it the end's level."""
    values = torch.linspace(1.5 * LOW, 1.5 * HIGH, 301)
    learned = LearnedActivation(SCALE, ZERO_POINT)
    found = learned(values)
    assert torch.equal(found, FakeQuantizedActivation(SCALE, ZERO_POINT)(values))
    assert learned.ends() == pytest.approx((LOW, HIGH))
    found.sum().backward()
    exact = values / SCALE
    level = exact.round().clamp(-ZERO_POINT, 255 - ZERO_POINT)
    is_inside = level == exact.round()
    by_value = torch.where(is_inside, level - exact, level)
    assert learned.growth.grad.item() == pytest.approx(float(by_value.sum()) * SCALE / (301 * 255) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("largest", [127, 64])
@pytest.mark.parametrize("shape", [(8, 5), (8, 3, 3, 3), (8, 4, 5)], ids=str)
def test_weights_are_rounded_as_by_the_runtimes_quantizer(shape: tuple[int, ...], largest: int) -> None:
    weight = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    weight[0], weight[1] = 0, weight[1] * 1000
    found = fake_quantized_weight(torch.from_numpy(weight), largest).numpy()
    wanted = Rounding(per_channel=True, largest=largest).to_nearest(weight)
    assert np.abs(found - wanted).max() < 1e-3
    assert np.abs(found - wanted)[2:].max() < 1e-6
    assert np.abs(found - weight)[2:].max() > 1e-3


def test_gradients_go_straight_through_inside_the_range_and_not_outside() -> None:
    values = torch.linspace(1.5 * LOW, 1.5 * HIGH, 301, requires_grad=True)
    factors = torch.arange(301.0) + 1
    (FakeQuantizedActivation(SCALE, ZERO_POINT)(values) * factors).sum().backward()
    inside = (values > LOW - SCALE / 2) & (values < HIGH + SCALE / 2)
    assert 0 < inside.sum() < 301
    assert torch.equal(values.grad, torch.where(inside, factors, 0.0))


def test_gradients_reach_every_weight_and_the_bias() -> None:
    layer = nn.Linear(6, 4)
    exact, inputs = layer.weight.detach().clone(), torch.randn(3, 6)
    answer = FakeQuantizedLayer(layer, 127)(inputs)
    answer.sum().backward()
    assert torch.allclose(layer.weight.grad, inputs.sum(dim=0).expand(4, 6), atol=1e-5)
    assert torch.equal(layer.bias.grad, torch.full((4,), 3.0))
    assert torch.equal(layer.weight, exact)
    assert not torch.equal(answer, layer(inputs))
