"""SmoothQuant: Xiao et al., Accurate and Efficient Post-Training Quantization for Large Language Models, 2023."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from worker.quantization.activations import Feed, channel_maxima
from worker.quantization.weighted_nodes import (
    WeightedNode,
    is_answer,
    only_once_used,
    replace_values,
    users_of,
    weighted_nodes,
)

STRENGTH = 0.5
_SMALLEST = 1e-5


def smooth(model: onnx.ModelProto, feeds: Iterable[Feed]) -> int:
    """Moves what is large in a layer norm's answers into the weights of the linear layers that read them.

    A few channels of a transformer are many times larger than the others, so that one range for all leaves the others
    no levels. Channel j is divided by max|x_j|^a / max|w_j|^(1-a), with a = 0.5, and its weights multiplied. The
    network's answers stay the same. Answers with the number of layer norms.
    """
    groups = list(_groups(model))
    largest = channel_maxima(model, {str(norm.output[0]): -1 for norm, _ in groups}, feeds) if groups else {}
    stored = only_once_used(model)
    for norm, readers in groups:
        weights = np.max([np.abs(reader.weight).max(axis=0) for reader in readers], axis=0)
        values = np.maximum(largest[str(norm.output[0])], _SMALLEST)
        scale = values**STRENGTH / np.maximum(weights, _SMALLEST) ** (1 - STRENGTH)
        for name in norm.input[1:]:
            replace_values(stored[name], numpy_helper.to_array(stored[name]) / scale)
        for reader in readers:
            reader.store(reader.weight * scale)
    return len(groups)


def _groups(model: onnx.ModelProto) -> Iterator[tuple[NodeProto, Sequence[WeightedNode]]]:
    """Layer norms of own weights whose answers only linear layers read."""
    stored, linear = only_once_used(model), {n.node.name: n for n in weighted_nodes(model) if n.node.op_type != "Conv"}
    for norm in model.graph.node:
        users = users_of(model, norm.output[0])
        readers = [linear[user.name] for user in users if user.name in linear and user.input[0] == norm.output[0]]
        alone = norm.op_type == "LayerNormalization" and readers and len(readers) == len(users)
        alone = alone and not is_answer(model, norm.output[0])
        if alone and all(name in stored and len(stored[name].dims) == 1 for name in norm.input[1:]):
            yield norm, readers
