"""The stored tensors of an ONNX graph, and the graph without them."""

from collections.abc import Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from math import prod
from typing import TypeVar

import onnx
from onnx import helper

# Sizes and what is made of them are few; weights aren't looked at.
MOST_NUMBERS = 256
_Item = TypeVar("_Item")


@contextmanager
def weights_set_aside(graph: onnx.GraphProto) -> Iterator[None]:
    """They have no bearing on shapes, and looking at large ones takes long: inputs of their shapes stand for them."""
    inputs, stored = list(graph.input), list(graph.initializer)
    weights = [each for each in stored if not is_small(each)]
    replace_items(graph.initializer, [each for each in stored if is_small(each)])
    graph.input.extend(helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in weights)
    yield
    replace_items(graph.input, inputs)
    graph.initializer.extend(weights)


def is_small(stored: onnx.TensorProto) -> bool:
    return bool(prod(stored.dims) <= MOST_NUMBERS)


def replace_items(field: MutableSequence[_Item], items: Sequence[_Item]) -> None:
    """Of a graph; `items` may be its own."""
    kept = list(items)
    del field[:]
    field.extend(kept)
