"""The sizes in a torch.export program: formulas of free sizes. torch evaluates their text as Python.

So a formula is parsed here, without being evaluated, and may hold nothing but sizes, numbers and functions on the list.
"""

import ast
import re
from functools import lru_cache

from app.core.errors import Invalid
from app.core.uploads import limits
from app.core.uploads.refusals import quoted, refusal
from app.core.uploads.torchscript_operators import names_in

SYMBOL = re.compile(r"(s|u|z|zuf)[0-9]{1,6}")
_FUNCTIONS = names_in(
    """
    Symbol Integer Float Rational Add Mul Pow Max Min Mod PythonMod FloorDiv CleanDiv CeilDiv ModularIndexing CeilToInt
    FloorToInt TruncToInt TruncToFloat RoundToInt ToFloat IntTrueDiv FloatTrueDiv PowByNatural FloatPow Where Identity
    IsNonOverlappingAndDenseIndicator And Or Not Eq Ne Lt Le Gt Ge Equality Unequality LessThan GreaterThan
    StrictLessThan StrictGreaterThan Abs floor ceiling
    """
)
_POWERS = frozenset({"Pow", "PowByNatural", "FloatPow"})
_ASSUMPTIONS = frozenset({"positive", "negative", "nonnegative", "integer", "real", "finite", "precision"})
_SYNTAX = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare,
    ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,60})?(e[-+]?[0-9]{1,3})?")
_LARGEST_POWER = 8
_CHARACTERS = re.compile(r"[\w ()',=+*/%<>!.~-]*", re.ASCII)
_SIGNS = re.compile(r"(?:[-+~]\s*){8}")
_GUARD = re.compile(
    r"(?>L\['[A-Za-z0-9_]{1,200}'\]|\['[A-Za-z0-9_]{1,200}'\]|\[[0-9]{1,6}\]|\.(?:size|stride|storage_offset|dim)\(\)|"
    r"\b(?:and|or|not|Max|Min|max|min|Mod|math\.(?:floor|ceil|trunc)|torch\.sym_(?:float|int|max|min|not)|int|float|Eq|Ne)\b|"
    r"[0-9.]{1,24}|[-+*/%<>=!(), ])*+"
)


class _NotAllowedError(Exception):
    pass


@lru_cache(maxsize=4096)
def checked_expression(text: str) -> str:
    """The same text; Invalid when torch would evaluate more than a formula of sizes in it."""
    try:
        _check(_parsed(text))
    except _NotAllowedError:
        raise not_allowed(f"the size {quoted(text)} is no formula of sizes") from None
    return text


def checked_guard(text: str) -> str:
    """A condition on the inputs' sizes. None is ever evaluated here, and a file that holds other text is refused."""
    if len(text) > limits.EXPRESSION_LENGTH or not _GUARD.fullmatch(text):
        raise not_allowed(f"the guard {quoted(text)} is no condition on sizes")
    return text


def not_allowed(what: str, advice: str = "Export the network without what is no part of computing it.") -> Invalid:
    return refusal("program_not_allowed", f"In the program, {what}. {advice}")


def _parsed(text: str) -> ast.Expression:
    """The parser is kept from texts that would exhaust its stack."""
    if len(text) > limits.EXPRESSION_LENGTH or not _CHARACTERS.fullmatch(text) or _SIGNS.search(text):
        raise _NotAllowedError
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if deepest > limits.EXPRESSION_NESTING:
        raise _NotAllowedError
    try:
        return ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _NotAllowedError from None


def _check(tree: ast.Expression) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, _SYNTAX) or not _is_allowed(node):
            raise _NotAllowedError


def _is_allowed(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[base, exponent]) if name in _POWERS:
            return _is_small_power(base, exponent)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return _is_small_power(base, exponent)
        case ast.Call(func=function):
            return isinstance(function, ast.Name) and function.id in _FUNCTIONS - _POWERS
        case ast.keyword(arg=name, value=value):
            return name in _ASSUMPTIONS and isinstance(value, ast.Constant)
        case ast.Name(id=name):
            return name in _FUNCTIONS or bool(SYMBOL.fullmatch(name))
        case ast.Constant(value=value):
            return _is_constant(value)
    return True


def _is_constant(value: object) -> bool:
    if isinstance(value, str):
        return bool(SYMBOL.fullmatch(value) or _NUMBER.fullmatch(value))
    return isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= 64)


def _is_small_power(base: ast.AST, exponent: ast.AST) -> bool:
    """A power of numbers alone would be computed at once, however large it is."""
    sizes = [node for node in ast.walk(base) if isinstance(node, ast.Name | ast.Constant) and _is_symbol(node)]
    numbers = [node.value for node in ast.walk(exponent) if isinstance(node, ast.Constant)]
    return bool(sizes) and all(isinstance(number, int) and number <= _LARGEST_POWER for number in numbers)


def _is_symbol(node: ast.Name | ast.Constant) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.value
    return isinstance(name, str) and bool(SYMBOL.fullmatch(name))
