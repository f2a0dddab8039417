"""What an ONNX file says of itself, and in how many words."""

import json
from collections.abc import Mapping
from importlib.metadata import version

import onnx

from app.core.version import VERSION
from worker.exporting.onnx_weights import has_branches
from worker.network import Network

_WRITTEN_WITH = ("torch", "onnx", "onnxruntime")
# Of a weight that it has folded something into, the network knows no name.
_NAMED_BY_THE_EXPORTER = "onnx::"


def describe(network: Network, model: onnx.ModelProto) -> None:
    """In its `metadata_props`: the recipe, the SHA-256 of the file that was sent, and what wrote this one."""
    model.producer_name, model.producer_version = "modelpress", VERSION
    recipe = {"steps": [step.model_dump(mode="json") for step in network.steps]}
    versions = {"modelpress": VERSION, **{name: version(name) for name in _WRITTEN_WITH}}
    properties = {"recipe": json.dumps(recipe), "versions": json.dumps(versions)}
    if network.upload_sha256 is not None:
        properties["upload_sha256"] = network.upload_sha256
    onnx.helper.set_model_props(model, properties)


def number_values(model: onnx.ModelProto) -> None:
    """Between inputs and answers, where names would only say again what the nodes are called: in a small int8 file
    they took one byte of twelve."""
    for function in model.functions:
        _number_values_of(function)
    graph = model.graph
    if has_branches(graph):
        return  # a branch reads values by their names, too
    nameless = [each.name for each in graph.initializer if each.name.startswith(_NAMED_BY_THE_EXPORTER)]
    taken = {each.name for each in (*graph.input, *graph.output, *graph.initializer)}
    made = [name for node in graph.node for name in node.output if name and name not in taken]
    _rename(graph, {name: str(number) for number, name in enumerate(nameless + made) if str(number) not in taken})


def _number_values_of(function: onnx.FunctionProto) -> None:
    names = [*function.input, *(name for node in function.node for name in node.output)]
    numbers = {name: str(number) for number, name in enumerate(names)}
    for each in (function, *function.node):
        each.input[:] = [numbers.get(name, name) for name in each.input]
        each.output[:] = [numbers[name] for name in each.output]


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for each in (*graph.value_info, *graph.initializer):
        each.name = names.get(each.name, each.name)


def share_constants(model: onnx.ModelProto) -> None:
    """Each once, where the exporter has written one for each reader."""
    graph = model.graph
    if has_branches(graph):
        return
    first: dict[bytes, str] = {}
    answers = {each.name for each in graph.output}
    again: dict[str, str] = {}
    for node in list(graph.node):
        if node.op_type == "Constant" and node.output[0] not in answers:
            again[node.output[0]] = first.setdefault(node.attribute[0].SerializeToString(), node.output[0])
            node.name = ""  # it belongs to no layer any more
            if again[node.output[0]] != node.output[0]:
                graph.node.remove(node)
    _rename(graph, again)
