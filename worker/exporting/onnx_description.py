"""What an ONNX file says of itself, and in how many words."""

import json
from importlib.metadata import version

import onnx

from app.core.version import VERSION
from worker.network import Network

_WRITTEN_WITH = ("torch", "onnx", "onnxruntime")


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
    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # a branch reads values by their names, too
    taken = {each.name for each in (*graph.input, *graph.output, *graph.initializer)}
    made = [name for node in graph.node for name in node.output if name and name not in taken]
    numbers = {name: number for number, name in enumerate(made) if str(number) not in taken}
    for node in graph.node:
        node.input[:] = [str(numbers.get(name, name)) for name in node.input]
        node.output[:] = [str(numbers.get(name, name)) for name in node.output]
    for each in graph.value_info:
        each.name = str(numbers.get(each.name, each.name))
