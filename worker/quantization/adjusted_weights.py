"""Weights that were adjusted in an ONNX file before rounding, taken back into the network that it was written from."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import fx, nn

from app.core.errors import Problem
from worker.exporting.onnx import layer_of
from worker.network import tensors_in
from worker.quantization.activations import Feed, values
from worker.quantization.weighted_nodes import weighted_nodes

# Of the largest answer: two runtimes add in different orders.
_ALIKE = 1e-3


def take_over_adjusted(module: fx.GraphModule, model: onnx.ModelProto, feed: Feed) -> None:
    """In place. `feed` has the module's inputs in order, with which both are compared afterwards: raises Problem where
    they answer differently, because the file holds a weight that the module doesn't have as such."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in stored and tuple(stored[name].dims) == tuple(parameter.shape):
                parameter.copy_(torch.from_numpy(numpy_helper.to_array(stored[name]).copy()))
        for node in weighted_nodes(model):
            layer = _layer(module, layer_of(node.node))
            if layer is not None and tuple(layer.weight.shape) == node.weight.shape:
                layer.weight.copy_(torch.from_numpy(node.weight.copy()))
                _take_over_bias(layer, node.bias)
    _check(module, model, feed)


def _layer(module: fx.GraphModule, name: str) -> nn.Linear | None:
    """Or a convolution, which has a weight and a bias too."""
    layer = dict(module.named_modules()).get(name)
    return layer if layer is not None and isinstance(getattr(layer, "weight", None), nn.Parameter) else None


def _take_over_bias(layer: nn.Linear, bias: onnx.TensorProto | None) -> None:
    if bias is not None:
        layer.bias = nn.Parameter(torch.from_numpy(numpy_helper.to_array(bias).reshape(-1).copy()))


def _check(module: fx.GraphModule, model: onnx.ModelProto, feed: Feed) -> None:
    names = [output.name for output in model.graph.output]
    (found,) = values(model, names, [feed])
    with torch.no_grad():
        answers = tensors_in(module(*(torch.from_numpy(array) for array in feed.values())))
    for name, answer in zip(names, answers, strict=True):
        largest = float(np.abs(found[name]).max(initial=0.0))
        if float(np.abs(found[name] - answer.numpy()).max(initial=0.0)) > _ALIKE * max(largest, 1e-6):
            raise Problem(
                "What was adjusted before rounding can't be written as TorchScript: the network's weights aren't found "
                "again in it. Leave out smooth, equalize, bias_correction and adaround, or ask for onnx in `outputs`.",
                code="output_unavailable",
                title="A technique can't be written in this format",
            )
