"""How a program's inputs and outputs are nested. torch imports a module that such a description names."""

import re

from pydantic import Field, TypeAdapter, ValidationError

from app.core.schemas import Schema
from app.core.uploads.exported_program_expressions import not_allowed
from app.core.uploads.json_text import read_json
from app.core.uploads.refusals import quoted

_SEQUENCES = frozenset({"builtins.tuple", "builtins.list", "torch.fx.immutable_collections.immutable_list"})
_MAPPINGS = frozenset(
    {"builtins.dict", "collections.OrderedDict", "torch.fx.immutable_collections.immutable_dict"},
)
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_KEY = re.compile(r"[\x20-\x7e]{1,254}")
_NESTING = 32


class _Tree(Schema):
    type: str | None
    context: str | None
    children_spec: tuple["_Tree", ...] = Field(max_length=10_000)


_FILE: TypeAdapter[tuple[int, _Tree]] = TypeAdapter(tuple[int, _Tree])
_KEYS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


def checked_input_tree(text: str) -> str:
    """The same text; Invalid when it holds more than tuples, lists and dicts by names of arguments."""
    return _checked(text, _ARGUMENT)


def checked_output_tree(text: str) -> str:
    return _checked(text, _KEY)


def _checked(text: str, key: re.Pattern[str]) -> str:
    try:
        read_json(text.encode())
        _, tree = _FILE.validate_json(text, strict=True)
        _check(tree, key, _NESTING)
    except (ValueError, ValidationError, RecursionError):
        raise not_allowed(
            f"the inputs or outputs are structured as {quoted(text)}",
            "Let forward() take and return tensors, or tuples, lists and dicts of them, and export it again.",
        ) from None
    return text


def _check(tree: _Tree, key: re.Pattern[str], nesting: int) -> None:
    """Raises ValueError."""
    if tree.type in _MAPPINGS:
        keys = _KEYS.validate_json(tree.context or "", strict=True)
        known = len(keys) == len(tree.children_spec) and all(map(key.fullmatch, keys))
    elif tree.type in _SEQUENCES:
        known = tree.context in (None, "null")
    else:
        known = tree.type is None and tree.context is None and not tree.children_spec
    if not known or nesting == 0:
        raise ValueError("another structure")
    for child in tree.children_spec:
        _check(child, key, nesting - 1)
