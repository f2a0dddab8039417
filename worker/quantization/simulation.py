"""A quantized file as a network that can be trained: it rounds what the file rounds, where the file does."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, fx, nn

from worker.exporting.onnx import layer_of
from worker.quantization.activations import Feed, values
from worker.quantization.fake_quantization import FakeQuantizedActivation, FakeQuantizedLayer, LearnedActivation

ROUNDED_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_DROPOUT = nn.modules.dropout._DropoutNd
# Of the largest value: two runtimes add in different orders.
_ALIKE = 1e-3


@dataclass(frozen=True)
class QuantizedFile:
    """`exact` is the file in float32 that `quantized` was made from; `largest` the largest integer of a weight.
    `learned` says that the ranges of activations are to be learned."""

    exact: onnx.ModelProto
    quantized: onnx.ModelProto
    largest: int
    learned: bool = False

    def layers(self) -> set[str]:
        """Those whose weights are stored in 8 bits."""
        integers = {w.name for w in self.quantized.graph.initializer if w.data_type == TensorProto.INT8}
        nodes = self.quantized.graph.node
        weights = {n.output[0] for n in nodes if n.op_type == "DequantizeLinear" and n.input[0] in integers}
        return {layer_of(node) for node in nodes if len(node.input) > 1 and node.input[1] in weights}

    def activations(self) -> dict[str, FakeQuantizedActivation | LearnedActivation]:
        """By the name that the tensor has in both files."""
        stored = {w.name: numpy_helper.to_array(w) for w in self.quantized.graph.initializer}
        rounding = [node for node in self.quantized.graph.node if node.op_type == "QuantizeLinear"]
        kind = LearnedActivation if self.learned else FakeQuantizedActivation
        return {
            str(node.input[0]): kind(stored[node.input[1]].item(), stored[node.input[2]].item()) for node in rounding
        }


@dataclass(frozen=True)
class Simulation:
    """`module` shares its layers with the network: what trains one trains the other. `activations` are those of the
    file's tensors that it rounds, by their names."""

    module: fx.GraphModule
    activations: Mapping[str, FakeQuantizedActivation | LearnedActivation]

    def learned_ends(self) -> dict[str, tuple[float, float]]:
        return {name: each.ends() for name, each in self.activations.items() if isinstance(each, LearnedActivation)}


def simulated(module: fx.GraphModule, file: QuantizedFile, feed: Feed) -> Simulation:
    """Of a network in float32.

    The file's tensors are found among the values of the module's graph by what they hold for the examples of `feed`,
    which are the module's inputs in order. Those inside of what is one operation in torch aren't there, and aren't
    rounded. Dropout is left out: its noise is many times that of rounding.
    """
    simulation = fx.GraphModule(module, deepcopy(module.graph))
    activations = file.activations()
    (exact,) = values(file.exact, list(activations), [feed])
    places = _places(simulation, feed, exact)
    for number, (name, node) in enumerate(places.items()):
        _round_behind(simulation, node, f"activation_{number}", activations[name])
    layers = file.layers()
    for node in [n for n in simulation.graph.nodes if n.op == "call_module"]:
        if node.target in layers:
            _round_weights(simulation, node, file.largest)
        elif isinstance(simulation.get_submodule(str(node.target)), _DROPOUT):
            _leave_out(simulation, node)
    simulation.delete_all_unused_submodules()
    simulation.recompile()
    return Simulation(simulation, {name: activations[name] for name in places})


def _places(module: fx.GraphModule, feed: Feed, tensors: dict[str, np.ndarray]) -> dict[str, fx.Node]:
    """The first node, in the order of the graph, that has each tensor's value; no node twice."""
    recorded = _Values(module).of(feed)
    places = dict[str, fx.Node]()
    for name, tensor in tensors.items():
        wanted = torch.from_numpy(tensor)
        found = (node for node, value in recorded.items() if _are_alike(value, wanted))
        node = next(found, None)
        if node is not None and node not in places.values():
            places[name] = node
    return places


class _Values(fx.Interpreter):
    def of(self, feed: Feed) -> dict[fx.Node, Tensor]:
        self._recorded: dict[fx.Node, Tensor] = {}
        with torch.no_grad():
            self.run(*(torch.from_numpy(array) for array in feed.values()))
        return self._recorded

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor) and n.op != "output":
            self._recorded[n] = value.clone()
        return value


def _are_alike(value: Tensor, wanted: Tensor) -> bool:
    """A tensor that is all of one value tells nothing."""
    if value.shape != wanted.shape or not value.is_floating_point() or value.amin() == value.amax():
        return False
    return bool((value - wanted).abs().amax() <= _ALIKE * wanted.abs().amax())


def _round_behind(module: fx.GraphModule, node: fx.Node, name: str, activation: nn.Module) -> None:
    module.add_submodule(f"fake_quantization.{name}", activation)
    with module.graph.inserting_after(_after_inputs(module, node)):
        rounded = module.graph.call_module(f"fake_quantization.{name}", (node,))
    node.replace_all_uses_with(rounded, delete_user_cb=lambda user: user is not rounded)


def _after_inputs(module: fx.GraphModule, node: fx.Node) -> fx.Node:
    """The node itself, or the last input where it is one: nothing may stand between inputs."""
    inputs = module.graph.find_nodes(op="placeholder")
    return inputs[-1] if node in inputs else node


def _round_weights(module: fx.GraphModule, node: fx.Node, largest: int) -> None:
    layer = module.get_submodule(str(node.target))
    if isinstance(layer, ROUNDED_LAYERS):
        name = f"fake_quantization.layer_{node.name}"
        module.add_submodule(name, FakeQuantizedLayer(layer, largest))
        node.target = name


def _leave_out(module: fx.GraphModule, node: fx.Node) -> None:
    node.replace_all_uses_with(node.all_input_nodes[0])
    module.graph.erase_node(node)
