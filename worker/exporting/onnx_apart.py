"""A model in two files: the graph, and its weights beside it.

So a graph is read without its weights, and these are written as they lie in memory: in one file both would be copied
once more, which takes longer than most of what is done to them.
"""

from pathlib import Path

import onnx
from onnx.external_data_helper import load_external_data_for_model

from worker.exporting.onnx_weights import MOST_NUMBERS

# What isn't a weight stays in the graph, which is looked at alone: sizes, of at most eight bytes each.
_LARGEST_IN_THE_GRAPH = 8 * MOST_NUMBERS


def save_apart(model: onnx.ModelProto, path: Path) -> None:
    """The model then has no weights of its own."""
    weights = path.with_suffix(".weights")
    weights.unlink(missing_ok=True)
    onnx.save(model, path, save_as_external_data=True, location=weights.name, size_threshold=_LARGEST_IN_THE_GRAPH + 1)


def load_graph(path: Path) -> onnx.ModelProto:
    """Weights that lie beside it stay there until they are asked for, see `load_weights`."""
    return onnx.load(path, load_external_data=False)


def load_weights(model: onnx.ModelProto, path: Path) -> None:
    """Those that the model has not been given since `load_graph`."""
    load_external_data_for_model(model, str(path.parent))
