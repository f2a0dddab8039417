"""ONNX through torch's tracing exporter (docs/decisions/0005-onnx-exporter.md)."""

from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from worker.exporting.float_onnx import SEPARATOR, float_onnx
from worker.exporting.onnx_apart import load_graph
from worker.exporting.onnx_description import describe, number_values, share_constants
from worker.exporting.onnx_operators import check_operators
from worker.exporting.onnx_shapes import Shapes, describe_shapes, shapes_in
from worker.network import Network


def export_onnx(network: Network, path: Path) -> tuple[Path, ...]:
    """Float weights first, then what the steps have put in `after_export`."""
    exact = float_onnx(network)
    shapes = _checked(exact)
    with TemporaryDirectory(dir=path.parent) as folder:
        model = onnx.load(network.changed_file("onnx", exact, Path(folder)))
    share_constants(model)
    describe_shapes(model, shapes)
    describe(network, model)
    number_values(model)
    onnx.save(model, path)
    return ()


def _checked(exact: Path) -> Shapes:
    model = load_graph(exact)
    check_operators(model)
    return shapes_in(model)


def layer_of(node: onnx.NodeProto) -> str:
    return layer_named(node.name)


def layer_named(node: str) -> str:
    """The layer that a node computes for: `/layer1/0/conv1/Conv` belongs to `layer1.0.conv1`."""
    return node.strip(SEPARATOR).rpartition(SEPARATOR)[0].replace(SEPARATOR, ".")
