"""When a value may be forgotten: so that importing needs no more memory than running."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any


def last_reads(nodes: Sequence[Any], outputs: Sequence[Any]) -> Mapping[int, list[int]]:
    """Position of an instruction -> the values made by these instructions that nothing reads after it."""
    last: dict[int, int] = {}
    for position, node in enumerate(nodes):
        last.update({one.unique(): position for one in node.outputs()})
        last.update({value: position for value in _read_by(node) if value in last})
    ending = defaultdict(list)
    for value in last.keys() - {one.unique() for one in outputs}:
        ending[last[value]].append(value)
    return ending


def _read_by(node: Any) -> set[int]:
    read = {one.unique() for one in node.inputs()}
    for block in node.blocks():
        read.update(one.unique() for one in block.outputs())
        for inner in block.nodes():
            read |= _read_by(inner)
    return read
