"""What TorchScript code may do, checked in its text: torch parses and runs it, so it is an upload's one program.

Names are checked by an allow list of operators. A name after a dot is an operator of torch, or else it must be
declared in the archive, because torch takes `x.name` for the operator `name` when x is a tensor.

The patterns take time in proportion to the text, whatever it holds.
"""

import re
from collections.abc import Mapping

from app.core.errors import Invalid
from app.core.uploads import limits
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.torchscript_operators import NEVER, is_allowed, without_in_place

_STRING = re.compile(r'"((?:[^"\\\n]|\\[^\n])*)("?)')
_NUMBER = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_NAMES = re.compile(r"(\.\s*)?([A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)")
_GETATTR = re.compile(r'\bgetattr\(([\w.()\[\] ]{1,400}), "([^"\\\n]{1,200})"\)')
_DECLARED = re.compile(
    r'^ *(?:def ([A-Za-z_]\w*)|class ([A-Za-z_]\w*)|([A-Za-z_]\w*) :|__annotations__\["([^"\n]*)"\])', re.MULTILINE
)
# python_print, torch's writer of code, prints ASCII without comments, and strings in double quotes on one line.
_NEVER_WRITTEN = re.compile(r"[^\x20-\x7e\n]|['\\#;`]")
_BRACKETS = re.compile(r"[()\[\]{}]")
_INDENTATION = re.compile(rf"^ {{{2 * limits.CODE_NESTING}}}", re.MULTILINE)
_UNARY_CHAIN = re.compile(rf"(?:(?:[-+~]|\bnot\b)\s*){{{limits.CODE_NESTING}}}")
_STARTS_OTHER_WORK = re.compile(r"(?<![\w.])(fork|awaitable\w*|rpc_\w+)\s*\(")
_RUNS_WHEN_LOADED = re.compile(r"\bdef\s+__setstate__\b")
_PACKED_PARAMETERS = re.compile(r"__torch__/torch/(ao/)?nn/(\w+/)*quantized/[\w/]+\.py")
_BOUND_CLASSES = ("quantized", "rnn")
# Of packed parameters and of enums, which no code declares.
_ALWAYS_THERE = {"unpack", "name", "value"}


def check_code(files: Mapping[str, str]) -> None:
    """`files` are texts by their path below `code/`. Invalid with the first name that is not allowed, and its file."""
    declared = {name for text in files.values() for groups in _DECLARED.findall(text) for name in groups if name}
    for path, text in files.items():
        try:
            _check_file(path, text, declared | _ALWAYS_THERE)
        except _NotAllowedError as found:
            raise _refused(path, str(found)) from None


class _NotAllowedError(Exception):
    pass


def _refused(path: str, what: str) -> Invalid:
    advice = "Save the model again with torch.jit.save, without what is no part of computing its outputs."
    return refusal("code_not_allowed", f"code/{path} {what}. {advice}")


def _check_file(path: str, text: str, declared: set[str]) -> None:
    code = _NUMBER.sub("0", _without_strings(text))
    _check_nesting(code)
    if _RUNS_WHEN_LOADED.search(code) and not _PACKED_PARAMETERS.fullmatch(path):
        raise _NotAllowedError("declares __setstate__, which would run while the file is loaded")
    if found := _STARTS_OTHER_WORK.search(code):
        raise _NotAllowedError(f"calls {found[1]}, which starts other work")
    for follows_value, names in _NAMES.findall(code):
        _check_names(re.sub(r"\s", "", names).split("."), declared, follows_value=bool(follows_value))
    _check_getattr(text, code, declared)


def _without_strings(text: str) -> str:
    """The text with a name for each string."""
    if '"""' in text or not all(closing for _, closing in _STRING.findall(text)):
        raise _NotAllowedError("holds a string that torch would not write")
    code = _STRING.sub(" _ ", text)
    if odd := _NEVER_WRITTEN.search(code):
        raise _NotAllowedError(f"holds {quoted(odd[0])}, which torch never writes into code")
    return code


def _check_nesting(code: str) -> None:
    depth = 0
    for bracket in _BRACKETS.findall(code):
        depth += 1 if bracket in "([{" else -1
        if depth > limits.CODE_NESTING:
            raise _NotAllowedError(f"is nested more than {limits.CODE_NESTING} deep")
    if _INDENTATION.search(code) or _UNARY_CHAIN.search(code):
        raise _NotAllowedError(f"is nested more than {limits.CODE_NESTING} deep")


def _check_names(names: list[str], declared: set[str], *, follows_value: bool) -> None:
    root, *attributes = names
    if follows_value:
        _check_attributes(names, declared)
    elif root in ("torch", "ops"):
        _check_operator(names)
    elif root == "__torch__":
        if attributes[:2] == ["torch", "classes"] and attributes[2:3] not in [[known] for known in _BOUND_CLASSES]:
            raise _NotAllowedError(f"uses the custom class {quoted('.'.join(names))}")
    elif root != "CONSTANTS":
        _check_attributes(attributes, declared)


def _check_operator(names: list[str]) -> None:
    match names:
        case ["torch", name] if is_allowed("torch", name):
            return
        case ["ops", namespace, name] if namespace != "torch" and is_allowed(namespace, name):
            return
    raise _NotAllowedError(f"uses {quoted('.'.join(names))}, which is not among the operators that networks need")


def _check_attributes(names: list[str], declared: set[str]) -> None:
    for name in names:
        if name not in declared:
            raise _NotAllowedError(f"takes {quoted(name)} from a value, and the archive declares no such name")
        if without_in_place(name) in NEVER:
            raise _NotAllowedError(f"takes {quoted(name)} from a value, which torch may take for its operator")


def _check_getattr(text: str, code: str, declared: set[str]) -> None:
    """`getattr(x, "name")` is `x.name` for names that are no identifiers, such as `0`."""
    found = _GETATTR.findall(text)
    if len(found) != len(re.findall(r"\bgetattr\b", code)):
        raise _NotAllowedError("uses getattr in a way that torch would not write")
    _check_attributes([name for _, name in found], declared)
