"""What each unit says while the network answers training examples. Batches are read one after another; only sums are
kept."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import activation

from worker.importance.examples import example_batches
from worker.network import Network
from worker.run import Run

EXAMPLES = 256
BATCH_SIZE = 16

_Convolution = nn.modules.conv._ConvNd
_WITH_UNITS = (_Convolution, nn.Linear, nn.RNNBase, nn.RNNCellBase)
# What may stand between a layer and what the next one reads of it, unit by unit.
_BETWEEN = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.modules.dropout._DropoutNd,
)
_NOT_BY_UNIT = (nn.GLU, nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.Softmin, nn.LogSoftmax)
_ACTIVATIONS = tuple(
    kind for name in activation.__all__ if not issubclass(kind := getattr(activation, name), _NOT_BY_UNIT)
)
_FUNCTIONS = frozenset(
    {"relu", "relu_", "relu6", "gelu", "silu", "sigmoid", "tanh", "elu", "leaky_relu", "hardswish", "mish", "softplus"}
)


@dataclass
class OutputStatistics:
    """Of each unit (a convolution's channel, a linear or recurrent layer's feature), over all examples and positions,
    behind the normalizations and activations that follow the layer. Tensors of shape (units,).

    `zeros` is the fraction of zeros: APoZ (Hu et al., Network Trimming, 2016).
    """

    mean: Tensor
    mean_absolute: Tensor
    mean_square: Tensor
    zeros: Tensor


def output_statistics(network: Network, run: Run, examples: int = EXAMPLES) -> dict[str, OutputStatistics]:
    """By layer name, for convolutional, linear and recurrent layers. A layer called twice counts both. Needs
    `run.data`."""
    recorder = _Recorder(network.module)
    with torch.no_grad():
        for inputs, _ in example_batches(network, run, examples, BATCH_SIZE):
            recorder.run(*inputs)
    return {name: sums.statistics() for name, sums in recorder.sums.items()}


@dataclass
class _Sums:
    count: int = 0
    totals: Tensor | None = None

    def add(self, units: Tensor) -> None:
        """`units` of shape (observations, units)."""
        totals = torch.stack([units.sum(0), units.abs().sum(0), units.square().sum(0), (units == 0).sum(0)]).double()
        self.totals = totals if self.totals is None else self.totals + totals
        self.count += len(units)

    def statistics(self) -> OutputStatistics:
        assert self.totals is not None
        return OutputStatistics(*(self.totals / self.count).float())


class _Recorder(fx.Interpreter):
    """Runs the graph node by node and sums up what is read of each layer."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.sums: dict[str, _Sums] = {}
        watched = [node for node in module.graph.nodes if isinstance(self._layer(node), _WITH_UNITS)]
        self._watched = {self._read_at(node): node for node in watched}

    def run_node(self, n: fx.Node) -> Any:
        answer = super().run_node(n)
        if n in self._watched:
            node = self._watched[n]
            self.sums.setdefault(str(node.target), _Sums()).add(_by_unit(self._layer(node), answer))
        return answer

    def _read_at(self, node: fx.Node) -> fx.Node:
        """The last of the normalizations and activations that follow and that nothing else passes by."""
        while len(node.users) == 1 and self._is_between(following := next(iter(node.users))):
            node = following
        return node

    def _is_between(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self._layer(node), (*_BETWEEN, *_ACTIVATIONS))
        return getattr(node.target, "__name__", node.target) in _FUNCTIONS

    def _layer(self, node: fx.Node) -> nn.Module | None:
        return self.submodules.get(str(node.target)) if node.op == "call_module" else None


def _by_unit(layer: nn.Module | None, answer: Any) -> Tensor:
    """(observations, units), whatever the layer's own shape."""
    tensor: Tensor = answer[0] if isinstance(answer, tuple) else answer
    units_at = 1 if isinstance(layer, _Convolution) else -1
    return tensor.movedim(units_at, -1).flatten(0, -2)
