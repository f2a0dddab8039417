"""What is done to weights before they are rounded: answers stay, and rounding loses less."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper
from torch.utils.flop_counter import FlopCounterMode

from tests.worker.quantization.graphs import feeds, graph, normal, run, stored
from worker.quantization.adaptive_rounding import round_adaptively
from worker.quantization.bias_correction import correct_biases
from worker.quantization.equalization import equalize
from worker.quantization.rounding import Rounding
from worker.quantization.smoothing import smooth
from worker.quantization.weighted_nodes import weighted_nodes

X = normal(64, 4)
PER_TENSOR, PER_CHANNEL = Rounding(False, 127), Rounding(True, 127)
UNEQUAL = normal(6, 4) * np.array([100.0, 1, 0.01, 1, 10, 0.1])[:, None]


def two_layers() -> onnx.ModelProto:
    body = "a = Gemm<transB = 1>(x, w1, b1) r = Relu(a) y = Gemm<transB = 1>(r, w2, b2)"
    weights = {"w1": UNEQUAL, "b1": normal(6), "w2": normal(3, 6, seed=1), "b2": normal(3)}
    return graph(body, weights)


def rounded(model: onnx.ModelProto, rounding: Rounding) -> onnx.ModelProto:
    for node in weighted_nodes(model):
        node.store(rounding.to_nearest(node.weight))
    return model


def error(
    make: Callable[[], onnx.ModelProto], change: Callable[[onnx.ModelProto], object], rounding: Rounding
) -> float:
    changed = make()
    change(changed)
    return float(((run(rounded(changed, rounding), X) - run(make(), X)) ** 2).mean())


def test_equalizing_keeps_the_answers_and_balances_the_ranges() -> None:
    model = two_layers()
    assert equalize(model) == 1
    assert np.abs(run(model, X) - run(two_layers(), X)).max() < 1e-3
    before, after = np.abs(stored(model, "w1")).max(axis=1), np.abs(stored(model, "w2")).max(axis=0)
    assert np.allclose(before, after, rtol=1e-3)


def test_equalizing_makes_one_scale_for_all_lose_less() -> None:
    assert error(two_layers, equalize, PER_TENSOR) < 0.2 * error(two_layers, lambda _: None, PER_TENSOR)


def test_depthwise_convolutions_are_equalized() -> None:
    def network() -> onnx.ModelProto:
        body = "a = Conv(x, w1, b1) r = Relu(a) h = Conv<group = 6>(r, w2) z = Relu(h) y = Conv(z, w3)"
        weights = {"w1": UNEQUAL[..., None, None], "b1": normal(6)}
        weights |= {"w2": normal(6, 1, 2, 2, seed=1), "w3": normal(2, 6, 1, 1, seed=2)}
        return graph(body, weights, inputs="float[N, 4, 5, 5] x")

    model, images = network(), normal(8, 4, 5, 5)
    assert equalize(model) == 2
    assert np.allclose(run(model, images), run(network(), images), rtol=1e-3, atol=1e-3)
    largest = np.abs(stored(model, "w2")).reshape(6, -1).max(axis=1)
    assert np.allclose(largest, np.abs(stored(model, "w3")).reshape(2, 6).max(axis=0), rtol=1e-2)


def test_layers_that_others_read_too_are_not_equalized() -> None:
    body = "a = Gemm<transB = 1>(x, w1) b = Gemm<transB = 1>(a, w2) y = Add(a, b)"
    assert equalize(graph(body, {"w1": normal(4, 4), "w2": normal(4, 4)})) == 0


@pytest.mark.parametrize("answer", ["a", "r"])
def test_layers_whose_answers_are_the_networks_are_not_equalized(answer: str) -> None:
    model = two_layers()
    model.graph.output.append(helper.make_empty_tensor_value_info(answer))
    assert equalize(model) == 0


def normed() -> onnx.ModelProto:
    body = "n = LayerNormalization(x, scale, bias) a = MatMul(n, w1) b = MatMul(n, w2) y = Add(a, b)"
    weights = {"scale": np.array([50.0, 1, 1, 1]), "bias": normal(4), "w1": normal(4, 5), "w2": normal(4, 5, seed=1)}
    return graph(body, weights)


def test_smoothing_keeps_the_answers_and_evens_the_channels() -> None:
    model = normed()
    assert smooth(model, feeds(X)) == 1
    assert np.allclose(run(model, X), run(normed(), X), rtol=1e-4, atol=1e-3)
    assert np.abs(stored(model, "scale")).max() < 10


def test_a_norm_whose_answers_are_the_networks_is_not_smoothed() -> None:
    model = normed()
    model.graph.output.append(helper.make_empty_tensor_value_info("n"))
    assert smooth(model, feeds(X)) == 0


def test_correcting_biases_removes_the_mean_of_the_error() -> None:
    def network() -> onnx.ModelProto:
        return graph("y = Gemm<transB = 1>(x, w, b)", {"w": UNEQUAL, "b": normal(6)})

    examples = X + 3
    model = network()
    correct_biases(model, feeds(examples), PER_TENSOR)
    shift = (run(rounded(model, PER_TENSOR), examples) - run(network(), examples)).mean(axis=0)
    plain = (run(rounded(network(), PER_TENSOR), examples) - run(network(), examples)).mean(axis=0)
    assert np.abs(shift).max() < 1e-3
    assert np.abs(plain).max() > 0.1


def test_the_bias_behind_a_matmul_is_corrected() -> None:
    model = graph("a = MatMul(x, w) y = Add(a, b)", {"w": UNEQUAL.T, "b": normal(6)})
    exact = run(model, X + 3).mean(axis=0)
    correct_biases(model, feeds(X + 3), PER_TENSOR)
    assert np.allclose(run(rounded(model, PER_TENSOR), X + 3).mean(axis=0), exact, atol=1e-3)


def coarse() -> onnx.ModelProto:
    return graph("y = Gemm<transB = 1>(x, w)", {"w": normal(6, 4)})


def test_adaptive_rounding_loses_less_than_rounding_to_the_nearest() -> None:
    """With inputs that go together, where one error can make up for another."""
    together = X[:, :1] + 0.1 * X
    three_bits = Rounding(True, 3)
    model = coarse()
    round_adaptively(model, feeds(together), three_bits)
    adaptive = ((run(model, together) - run(coarse(), together)) ** 2).mean()
    nearest = ((run(rounded(coarse(), three_bits), together) - run(coarse(), together)) ** 2).mean()
    assert adaptive < 0.7 * nearest


def test_what_was_rounded_adaptively_is_found_again_by_the_quantizer() -> None:
    model = coarse()
    round_adaptively(model, feeds(X), PER_CHANNEL)
    weight = stored(model, "w")
    assert np.allclose(PER_CHANNEL.to_nearest(weight), weight, atol=1e-6)
    assert np.allclose(PER_CHANNEL.scales(weight), PER_CHANNEL.scales(stored(coarse(), "w")), rtol=1e-5)
    assert np.abs(weight - stored(coarse(), "w")).max() < PER_CHANNEL.scales(weight).max()


def test_a_wide_layer_of_few_examples_takes_less_work_for_the_same_weights() -> None:
    """The same examples ten times over have the same Gram matrix, and more of them than the layer takes numbers."""
    few, rounded_weights, work = normal(24, 400), list[np.ndarray](), list[int]()
    for examples in (few, np.tile(few, (10, 1))):
        model = graph("y = Gemm<transB = 1>(x, w)", {"w": normal(8, 400)}, inputs="float[N, 400] x")
        with FlopCounterMode(display=False) as counter:
            round_adaptively(model, feeds(examples, 24), Rounding(True, 7))
        rounded_weights.append(stored(model, "w"))
        work.append(counter.get_total_flops())
    assert (rounded_weights[0] == rounded_weights[1]).mean() > 0.99
    assert work[0] < 0.15 * work[1]


def test_convolutions_are_rounded_adaptively() -> None:
    def network() -> onnx.ModelProto:
        body = "y = Conv<group = 2, pads = [1, 0, 1, 0], strides = [2, 1]>(x, w)"
        return graph(body, {"w": normal(4, 2, 3, 2)}, inputs="float[N, 4, 6, 6] x")

    images = normal(16, 1, 6, 6) + 0.1 * normal(16, 4, 6, 6)
    three_bits, model = Rounding(True, 3), network()
    round_adaptively(model, feeds(images), three_bits)
    adaptive = ((run(model, images) - run(network(), images)) ** 2).mean()
    assert adaptive < 0.9 * ((run(rounded(network(), three_bits), images) - run(network(), images)) ** 2).mean()
