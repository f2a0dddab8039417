"""JSON in which every key stands once: readers differ in which of two they take."""

import json
from collections.abc import Iterable


class KeyTwice(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__("a key stands twice")
        self.key = key


def read_json(content: bytes) -> object:
    """Raises KeyTwice, ValueError or RecursionError where it can't be read."""
    return json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    content: dict[str, object] = {}
    for name, value in pairs:
        if name in content:
            raise KeyTwice(name)
        content[name] = value
    return content


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")
