"""What an exported program takes, as its own graph says: names, sizes, kinds, and which sizes are free."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from app.core.errors import Invalid
from app.core.inputs import InputDtype, InputSpec

BATCH = "batch"
_LARGEST = 1 << 24


def inputs_of(program: ExportedProgram, graph_module: fx.GraphModule) -> tuple[InputSpec, ...]:
    """One for each tensor that `graph_module`, the program's own module, takes, in order; first stands the batch."""
    vocabularies = dict(_vocabularies(graph_module))
    smallest = min(vocabularies.values(), default=None)
    ranges = {str(symbol): (limits.lower, limits.upper) for symbol, limits in program.range_constraints.items()}
    return tuple(_spec_of(node, vocabularies.get(node.name, smallest), ranges) for node in _taken_tensors(graph_module))


def constants_of(graph_module: fx.GraphModule) -> dict[int, Any]:
    """What was given as a number or None, by position among all that the program was given: fixed in its graph."""
    values = [node.meta["val"] for node in graph_module.graph.find_nodes(op="placeholder")]
    return {position: value for position, value in enumerate(values) if not isinstance(value, Tensor)}


def static_batch_of(graph_module: fx.GraphModule) -> int | None:
    """The one batch size that the program was exported for; None if the batch is free."""
    sizes = [node.meta["val"].shape[0] for node in _taken_tensors(graph_module) if node.meta["val"].shape]
    return int(sizes[0]) if sizes and all(isinstance(size, int) for size in sizes) else None


def _taken_tensors(graph_module: fx.GraphModule) -> list[fx.Node]:
    placeholders = graph_module.graph.find_nodes(op="placeholder")
    return [node for node in placeholders if isinstance(node.meta["val"], Tensor)]


def _spec_of(node: fx.Node, vocabulary: int | None, ranges: dict[str, tuple[Any, Any]]) -> InputSpec:
    example: Tensor = node.meta["val"]
    dtype = str(example.dtype).removeprefix("torch.")
    if not example.shape or dtype not in get_args(InputDtype):
        raise Invalid(
            f"The program's input {node.name} is {dtype} of shape {list(map(str, example.shape))}. Let it be a tensor "
            "of floats, integers or bools whose first size is the batch, and export it again.",
            code="forward_failed",
            title="The network can't be run",
        )
    shape = (BATCH, *(size if isinstance(size, int) else _free_name(str(size)) for size in example.shape[1:]))
    limits = {_free_name(symbol): _range_of(limits) for symbol, limits in ranges.items() if _free_name(symbol) in shape}
    is_index = not example.dtype.is_floating_point and example.dtype is not torch.bool
    return InputSpec.model_validate(
        {
            "name": node.name,
            "shape": shape,
            "dtype": dtype,
            "low": 0 if is_index and vocabulary else None,
            "high": vocabulary if is_index else None,
            "ranges": limits,
        }
    )


def _free_name(symbol: str) -> str:
    """A name for a free size: torch keeps none, only which sizes are one and the same (`s77`), or follow from one."""
    return "size_" + re.sub(r"\W+", "_", symbol)[:24]


def _range_of(limits: tuple[Any, Any]) -> tuple[int, int]:
    lower, upper = limits
    return max(1, int(lower)), int(upper) if upper < _LARGEST else _LARGEST


def _vocabularies(graph_module: fx.GraphModule) -> Iterator[tuple[str, int]]:
    """How many values each embedding takes, by the name of what it is looked up with."""
    for node in graph_module.graph.find_nodes(op="call_function", target=torch.ops.aten.embedding.default):
        weight, indices = node.args[:2]
        yield indices.name, int(weight.meta["val"].shape[0])
