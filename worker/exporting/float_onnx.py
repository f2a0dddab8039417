"""The float32 ONNX file of a network, with its weights beside it, which all others in ONNX and OpenVINO are made of."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from weakref import WeakKeyDictionary, finalize

import onnx
import torch
from torch import fx, nn

from worker.exporting.onnx_apart import load_graph, load_weights, save_apart
from worker.exporting.onnx_other_weights import Sources, digests_of, readers_in, structure_of, tensors_of
from worker.exporting.onnx_sizes import compute_sizes
from worker.exporting.onnx_substitutes import substituted
from worker.inputs import random_inputs
from worker.network import Network

OPSET = 18
SEPARATOR = "/"


@dataclass(frozen=True)
class _Written:
    """`sources` are None where only tracing can tell what other weights lead to."""

    path: Path
    structure: str
    tensors: Mapping[str, bytes]
    sources: Sources | None


_written: WeakKeyDictionary[nn.Module, _Written] = WeakKeyDictionary()


def float_onnx(network: Network) -> Path:
    """To be read only. Tracing takes far longer than what most steps do to the file, so it is done once for as long as
    the module lives and no weight of it changes; a network that another differs from in its weights is traced for
    both."""
    own = tensors_of(network.module)
    structure, tensors = structure_of(network, own), digests_of(own)
    known = _written.get(network.module)
    if known is None or (known.structure, known.tensors) != (structure, tensors):
        path = _place(network.module) if known is None else known.path
        _written[network.module] = _like_another(network, path, structure, tensors) or _Written(
            path, structure, tensors, _export(network, path)
        )
    return _written[network.module].path


def _like_another(network: Network, path: Path, structure: str, tensors: Mapping[str, bytes]) -> _Written | None:
    """Made of the file of a network that has the same structure, if there is one that tells where its weights went."""
    for _module_that_lives_on, other in list(_written.items()):
        if other.structure != structure or other.sources is None:
            continue
        model = load_graph(other.path)
        changed = {name for name, digest in tensors.items() if other.tensors[name] != digest}
        if other.sources.put(model, network.module, changed):
            load_weights(model, other.path)
            save_apart(model, path)
            return _Written(path, structure, tensors, other.sources)
    return None


def _place(module: nn.Module) -> Path:
    """In a folder that goes with the module."""
    folder = mkdtemp(prefix="float-")
    finalize(module, rmtree, folder, ignore_errors=True)
    return Path(folder, "float.onnx")


def _export(network: Network, path: Path) -> Sources | None:
    examples = random_inputs(network.inputs, 2, seed=0)
    outputs = _output_names(network)
    with _quiet():
        torch.onnx.export(
            substituted(with_paths_as_names(network.module), sizes_are_fixed=_only_the_batch_is_free(network)),
            examples,
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[spec.name for spec in network.inputs],
            output_names=outputs,
            dynamic_axes=_free_dimensions(network) | {name: {0: "batch"} for name in outputs},
        )
    model = onnx.load(path)
    _restore_names(model.graph)
    _read_weights_where_they_are(model.graph)
    sources, readers = Sources.of(model, network.module), readers_in(model.graph)
    compute_sizes(model)
    save_apart(model, path)
    return sources and sources.still_in(readers, model.graph)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter says that it isn't the newest, and warns of sizes that the trace may have fixed: written files are
    checked on another batch than the traced one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _output_names(network: Network) -> list[str]:
    answers = network.module.graph.output_node().args[0]
    count = len(answers) if isinstance(answers, tuple) else 1
    taken = {spec.name for spec in network.inputs}
    stem = "output" if "output" not in taken else "answer"
    return [stem] if count == 1 else [f"{stem}_{number}" for number in range(count)]


def _free_dimensions(network: Network) -> dict[str, dict[int, str]]:
    return {
        spec.name: {axis: size for axis, size in enumerate(spec.shape) if isinstance(size, str)}
        for spec in network.inputs
    }


def _only_the_batch_is_free(network: Network) -> bool:
    return all(isinstance(size, int) for spec in network.inputs for size in spec.shape[1:])


def with_paths_as_names(module: fx.GraphModule) -> fx.GraphModule:
    """The same layers in one flat graph module, named `layer1/0/conv1`.

    The exporter names ONNX nodes after the last part of a layer's path alone, so that `layer1.0.conv1` and
    `layer2.0.conv1` would be told apart by a counter only.
    """
    graph, members = fx.Graph(), {}
    graph.output(graph.graph_copy(module.graph, {}))
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            flat = node.target.replace(".", SEPARATOR)
            members[flat] = _member(module, node.target)
            node.target = flat
    return fx.GraphModule(members, graph, class_name="Network").eval()


def _member(module: nn.Module, path: str) -> object:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _restore_names(graph: onnx.GraphProto) -> None:
    """Gives weights the names that they have in the state dict."""
    names = {w.name: w.name.replace(SEPARATOR, ".") for w in graph.initializer if "onnx::" not in w.name}
    for weight in graph.initializer:
        weight.name = names.get(weight.name, weight.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _read_weights_where_they_are(graph: onnx.GraphProto) -> None:
    """Of equal weights the exporter stores one, and makes the others of it by `Identity`. Behind it no quantizer looks
    for them."""
    stored, answers = ({each.name for each in named} for named in (graph.initializer, graph.output))
    copies = (node for node in graph.node if node.op_type == "Identity" and node.input[0] in stored)
    same = [node for node in copies if node.output[0] not in answers]
    names = {node.output[0]: node.input[0] for node in same}
    for node in same:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
