"""Quiet channels are made louder in front of a depthwise convolution, and quieter in it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.worker.quantization.graphs import feeds, graph, in_int8, normal, run, stored
from worker.quantization.activations import channel_maxima
from worker.quantization.depthwise_equalization import LOUDER, MARGIN, even_out_depthwise

X = normal(8, 3, 6, 6)
LOUDNESS = np.array([1, 0.1, 1, 0.5, 0.001, 1])
RELU = "r = Relu(a)"
DEPTHWISE = "h = Conv<group = 6>(r, w2, b2) p = GlobalMaxPool(h) y = Flatten(p)"


def network(between: str = RELU, behind: str = DEPTHWISE, **others: np.ndarray) -> onnx.ModelProto:
    weights = {"w1": normal(6, 3, 1, 1) * LOUDNESS.reshape(-1, 1, 1, 1), "b1": normal(6, seed=1) * LOUDNESS}
    weights |= {"w2": normal(6, 1, 3, 3, seed=2), "b2": normal(6, seed=3)}
    body = f"a = Conv(x, w1, b1) {between} {behind}"
    return graph(body, weights | others, "float[N, 3, 6, 6] x")


def read(model: onnx.ModelProto) -> np.ndarray:
    """The largest value of each channel that the depthwise convolution reads."""
    return channel_maxima(model, {"r": 1}, feeds(X))["r"]


def test_channels_become_as_loud_as_one_another() -> None:
    model = network()
    assert even_out_depthwise(model, feeds(X)) == 1
    before, after = read(network()), read(model)
    assert np.allclose(run(model, X), run(network(), X), rtol=1e-4, atol=1e-5)
    assert np.allclose(after, np.minimum(before * LOUDER, before.max()), rtol=1e-4)
    assert after.min() < before.max() / 2  # the quietest isn't made as loud as it could be


@pytest.mark.parametrize("kind", [(0.0, 2.0), (-2.0, 2.0)], ids=["relu", "hard tanh"])
def test_what_is_cut_off_stays_so(kind: tuple[float, float]) -> None:
    low, high = (np.array(each, np.float32) for each in kind)
    model = network("r = Clip(a, low, high)", low=low, high=high)
    before = read(model)
    assert even_out_depthwise(model, feeds(X)) == 1
    assert before.max() == pytest.approx(2)
    assert np.allclose(
        run(model, X), run(network("r = Clip(a, low, high)", low=low, high=high), X), rtol=1e-4, atol=1e-5
    )
    after = read(model)
    louder = after > before * 1.01
    assert louder.any()
    assert (after[louder] <= 2 / MARGIN + 1e-4).all()


WHOLE = "h = Conv(r, w3) p = GlobalMaxPool(h) y = Flatten(p)"
ADDED = "h = Conv<group = 6>(r, w2, b2) p = GlobalMaxPool(h) q = GlobalMaxPool({}) s = Add(p, q) y = Flatten(s)"


@pytest.mark.parametrize(
    ("between", "behind"),
    [
        (RELU, WHOLE),
        (RELU, ADDED.format("r")),
        (RELU, ADDED.format("a")),
        ("r = Sigmoid(a)", DEPTHWISE),
        ("r = Clip(a, low, high)", DEPTHWISE),
        ("r = Clip(a, zero)", DEPTHWISE),
        ("size = ReduceMax<keepdims = 0>(x) r = Clip(a, zero, size)", DEPTHWISE),
    ],
    ids=["whole", "two read it", "two read what is before", "sigmoid", "uneven", "no upper bound", "unknown bound"],
)
def test_other_layers_stay(between: str, behind: str) -> None:
    others = {"w3": normal(2, 6, 3, 3), "low": -1.0, "high": 2.0, "zero": 0.0}
    model = network(between, behind, **{name: np.asarray(value, np.float32) for name, value in others.items()})
    before = model.SerializeToString()
    assert even_out_depthwise(model, feeds(X)) == 0
    assert model.SerializeToString() == before


@pytest.mark.parametrize("answer", ["a", "r"])
def test_what_the_network_answers_with_stays(answer: str) -> None:
    model = network()
    model.graph.output.append(helper.make_empty_tensor_value_info(answer))
    assert even_out_depthwise(model, feeds(X)) == 0


def test_a_silent_channel_stays() -> None:
    silent = {"w1": normal(6, 3, 1, 1) * np.array([1, 0, 1, 1, 1, 1]).reshape(-1, 1, 1, 1), "b1": np.zeros(6)}
    model = network(**silent)
    even_out_depthwise(model, feeds(X))
    assert np.array_equal(stored(model, "w2")[1], stored(network(**silent), "w2")[1])
    assert np.isfinite(run(model, X)).all()


def test_int8_loses_less(tmp_path: Path) -> None:
    """Of the channels that the depthwise convolution itself makes louder."""
    louder = {"w2": normal(6, 1, 3, 3, seed=2) / LOUDNESS.reshape(-1, 1, 1, 1)}

    def error(model: onnx.ModelProto) -> float:
        return float(((run(in_int8(tmp_path, model, X), X) - run(network(**louder), X)) ** 2).mean())

    evened = network(**louder)
    even_out_depthwise(evened, feeds(X))
    assert error(evened) < 0.1 * error(network(**louder))
