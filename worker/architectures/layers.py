"""A description by layers -> an editable network without weights.

Nothing is allocated: layers are made on torch's meta device, and a state dict's tensors take the place of their
parameters later. So a description can't ask for more memory than the file has.
"""

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from app.core.architectures import AnyLayer, Layer, LayersArchitecture, Parallel, Residual
from worker.architectures import Material, build, untrained
from worker.architectures.fit import check_fit, malformed, shapes_of, widened, with_counters
from worker.training.initialization import initialize

# A trace of the fused path would record one operator that no exporter and no technique knows.
torch.backends.mha.set_fastpath_enabled(False)

_LARGEST_ARGUMENT = 1 << 24
_MOST_RECURRENT_LAYERS = 256
_NOT_FOR_CALLERS = frozenset({"self", "args", "kwargs", "mode", "device", "dtype", "_weight", "_freeze"})
_RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


@build.register
def _(architecture: LayersArchitecture, material: Material) -> nn.Module:
    network = build_layers(architecture)
    expected = network.state_dict()
    weights = with_counters(material.weights, expected)
    check_fit(
        shapes_of(expected),
        shapes_of(weights),
        "Correct `architecture`: a layer's `name` is the part of the key before .weight.",
    )
    network.load_state_dict({name: widened(tensor) for name, tensor in weights.items()}, assign=True)
    return network.requires_grad_(True).eval()


@untrained.register
def _(architecture: LayersArchitecture) -> nn.Module:
    network = build_layers(architecture).to_empty(device="cpu")
    initialize(network, None, torch.initial_seed())
    return network.requires_grad_(True).eval()


def build_layers(architecture: LayersArchitecture) -> fx.GraphModule:
    """Its parameters are on the meta device, under the names that the state dict must have."""
    builder = _Builder()
    x = builder.graph.placeholder("x")
    builder.graph.output(builder.add_sequence(architecture.layers, x, _numbered("")))
    return fx.GraphModule(builder.modules, builder.graph, class_name="Network")


def _numbered(prefix: str) -> Callable[[int, str | None], str]:
    return lambda position, name: f"{prefix}{position if name is None else name}"


class _Builder:
    def __init__(self) -> None:
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}

    def add_sequence(
        self, layers: Sequence[AnyLayer], x: fx.Node, path_of: Callable[[int, str | None], str]
    ) -> fx.Node:
        for position, layer in enumerate(layers):
            x = self._add(layer, x, path_of(position, layer.name))
        return x

    def _add(self, layer: AnyLayer, x: fx.Node, path: str) -> fx.Node:
        if isinstance(layer, Residual):
            return self._add_residual(layer, x, path)
        if isinstance(layer, Parallel):
            return self._add_parallel(layer, x, path)
        return self._add_layer(layer, x, path)

    def _add_layer(self, layer: Layer, x: fx.Node, path: str) -> fx.Node:
        if path in self.modules:
            raise malformed(f"Two layers are named {path}. Give each its own `name`.")
        self.modules[path] = module = make_layer(layer, path)
        answer = self.graph.call_module(path, (x,))
        if isinstance(module, _RECURRENT):
            return self.graph.call_function(operator.getitem, (answer, 0))
        return answer

    def _add_residual(self, block: Residual, x: fx.Node, path: str) -> fx.Node:
        """Unnamed layers of the shortcut are PATH.shortcut.POSITION, so that they don't clash with the others."""
        main = self.add_sequence(block.layers, x, _numbered(f"{path}."))
        shortcut = self.add_sequence(
            block.shortcut, x, lambda position, name: f"{path}.{name or f'shortcut.{position}'}"
        )
        return self.graph.call_function(operator.add, (main, shortcut))

    def _add_parallel(self, block: Parallel, x: fx.Node, path: str) -> fx.Node:
        """Unnamed layers are PATH.BRANCH.POSITION."""
        answers = [
            self.add_sequence(branch, x, _in_branch(path, number)) for number, branch in enumerate(block.branches)
        ]
        if block.join == "concat":
            return self.graph.call_function(torch.cat, (answers,), {"dim": 1})
        total = answers[0]
        for answer in answers[1:]:
            total = self.graph.call_function(operator.add, (total, answer))
        return total


def _in_branch(path: str, number: int) -> Callable[[int, str | None], str]:
    return lambda position, name: f"{path}.{name or f'{number}.{position}'}"


def make_layer(layer: Layer, path: str) -> nn.Module:
    """The torch.nn module of the layer's class and arguments, on the meta device."""
    layer_class: type[nn.Module] = getattr(nn, layer.type)
    arguments = {name: _plain(value) for name, value in (layer.__pydantic_extra__ or {}).items()}
    check_arguments(layer_class, arguments, path)
    arguments.pop("inplace", None)  # in-place activations overwrite what a residual sum still needs
    try:
        with torch.device("meta"):
            return layer_class(**arguments)
    except Exception as error:
        raise malformed(
            f"{layer.type} {path} can't be made with {arguments}: a value is of the wrong kind or they contradict "
            f"each other. It takes {', '.join(_accepted(layer_class))}."
        ) from error


def check_arguments(layer_class: type[nn.Module], arguments: Mapping[str, Any], path: str) -> None:
    """Raises Invalid where the class takes other arguments, or a number is so large that a layer is never made."""
    accepted = _accepted(layer_class)
    unknown = sorted(set(arguments) - set(accepted))
    if unknown:
        raise malformed(
            f"{layer_class.__name__} {path} has no argument {', '.join(unknown)}. It takes {', '.join(accepted)}."
        )
    missing = [name for name, parameter in accepted.items() if _is_required(parameter) and name not in arguments]
    if missing:
        raise malformed(f"{layer_class.__name__} {path} needs {', '.join(missing)}.")
    for name, value in arguments.items():
        limit = _MOST_RECURRENT_LAYERS if name == "num_layers" else _LARGEST_ARGUMENT
        if any(abs(number) > limit for number in _numbers_in(value)):
            raise malformed(f"`{name}` of {layer_class.__name__} {path} is beyond {limit}.")


def _accepted(layer_class: type[nn.Module]) -> dict[str, inspect.Parameter]:
    source = nn.RNNBase if issubclass(layer_class, _RECURRENT) else layer_class
    accepted = {n: p for n, p in inspect.signature(source.__init__).parameters.items() if n not in _NOT_FOR_CALLERS}
    if layer_class is nn.RNN:
        accepted["nonlinearity"] = inspect.Parameter(
            "nonlinearity", inspect.Parameter.KEYWORD_ONLY, default="tanh", annotation=str
        )
    return accepted


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty


def _plain(value: Any) -> Any:
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value


def _numbers_in(value: Any) -> list[float]:
    if isinstance(value, list | tuple):
        return [number for each in value for number in _numbers_in(each)]
    return [value] if isinstance(value, int | float) else []
