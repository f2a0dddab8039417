"""Plans which calls become layers and writes them, and all others, into the graph."""

from collections.abc import Mapping

from torch import Tensor, fx

from worker.loading.lifting.call import Call, is_operator
from worker.loading.lifting.functions import plain_function
from worker.loading.lifting.layer import Function, Layer, function_for, layer_for
from worker.loading.lifting.placement import Placement


def planned(graph: fx.Graph, stored: dict[str, Tensor]) -> dict[fx.Node, Layer]:
    """The layers of the graph in the order of their calls. The last call of a pattern takes the others in."""
    layers: dict[fx.Node, Layer] = {}
    absorbed: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node in absorbed or not is_operator(node):
            continue
        layer = layer_for(Call(node, stored))
        if layer is not None and _leaves_inputs_alone(node):
            layers[node] = layer
            absorbed.update(layer.absorbs)
    return dict(reversed(layers.items()))


def _leaves_inputs_alone(node: fx.Node) -> bool:
    return not node.target._schema.is_mutable  # type: ignore[union-attr]


def write_layers(graph: fx.Graph, layers: Mapping[fx.Node, Layer], placement: Placement) -> None:
    written: dict[fx.Node, fx.Node] = {}
    for node, layer in layers.items():
        with graph.inserting_before(node):
            inputs = fx.map_arg(layer.inputs, lambda one: written.get(one, one))
            new = graph.call_module(placement.paths[node], inputs)
        written[node] = new
        _take_over(node, new)
        if layer.rewire:
            written.update(layer.rewire(graph, new))


def write_functions(graph: fx.Graph, stored: dict[str, Tensor]) -> None:
    """Operators become torch functions and methods, which every tracer and exporter follows."""
    for node in graph.nodes:
        if not is_operator(node) or node.target._schema.is_mutable:
            continue
        call = Call(node, stored)
        function = function_for(call) or plain_function(call)
        if function is not None:
            _write(graph, node, function)


def _write(graph: fx.Graph, node: fx.Node, function: Function) -> None:
    with graph.inserting_before(node):
        if isinstance(function.target, str):
            new = graph.call_method(function.target, function.args, dict(function.kwargs))
        else:
            new = graph.call_function(function.target, function.args, dict(function.kwargs))
    _take_over(node, new)


def _take_over(old: fx.Node, new: fx.Node) -> None:
    new.meta = dict(old.meta)
    old.replace_all_uses_with(new)
    old.graph.erase_node(old)


def without_dead_code(graph: fx.Graph) -> None:
    """Removes what nobody reads. Writes in place are kept: their operators say that they write."""
    for node in reversed(graph.nodes):
        is_written_to = is_operator(node) and node.target._schema.is_mutable
        if not node.users and not is_written_to and node.op not in ("placeholder", "output"):
            graph.erase_node(node)
