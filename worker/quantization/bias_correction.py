"""Bias correction: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019."""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

from worker.quantization.activations import Feed, channel_means
from worker.quantization.rounding import Rounding
from worker.quantization.weighted_nodes import WeightedNode, weighted_nodes


def correct_biases(model: onnx.ModelProto, feeds: Iterable[Feed], rounding: Rounding) -> None:
    """Takes the mean of what rounding the weights will add to each output back through the layer's bias.

    Rounding errors of a filter rarely cancel: (W - round(W)) E[x] is a constant shift of its output. Most needed by
    depthwise convolutions, whose filters have few weights. Layers without bias are left as they are.
    """
    nodes = [node for node in weighted_nodes(model) if node.bias is not None]
    means = channel_means(model, {node.input: node.channel_axis for node in nodes}, feeds)
    for node in nodes:
        assert node.bias is not None
        error = node.weight - rounding.to_nearest(node.weight)
        node.store_bias(numpy_helper.to_array(node.bias) + _expected(node, error, means[node.input]))


def _expected(node: WeightedNode, error: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Of each output, were the error the weights. Padding counts as inputs of average size."""
    by_group = error.reshape(node.groups, error.shape[0] // node.groups, error.shape[1], -1).sum(axis=-1)
    expected: np.ndarray = np.einsum("goi,gi->go", by_group, means.reshape(node.groups, -1))
    return expected.reshape(-1)
