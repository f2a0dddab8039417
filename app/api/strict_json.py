"""JSON that means the same to every reader: no NaN, no duplicate keys, no lone surrogates, no NUL."""

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from app.api.problems import UnsupportedMediaType
from app.api.validation import printable, validation_problem
from app.core.errors import Invalid, TooLarge

MAX_DEPTH = 64

T = TypeVar("T")


async def read_json_body(request: Request, limit: int) -> bytes:
    """The body of a request that must be JSON, at most `limit` bytes."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with the header `Content-Type: application/json`.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"A JSON body may have at most {limit} bytes. Send a smaller one.")
    return bytes(body)


def read_as(adapter: TypeAdapter[T], text: bytes, where: Sequence[str] = ()) -> T:
    """Checks `text` and reads it; `where` is its place in the request, for error messages."""
    document = parse(text, where)
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        raise validation_problem(error.errors(include_url=False), document, where) from error


def parse(text: bytes, where: Sequence[str] = ()) -> Any:
    try:
        document = json.loads(
            text.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_duplicates,
        )
        _check_strings(document)
    except json.JSONDecodeError as error:
        raise _invalid(f"it is not JSON at line {error.lineno}, column {error.colno}", where) from error
    except UnicodeDecodeError as error:
        raise _invalid(f"it is not UTF-8 at byte {error.start}", where) from error
    except RecursionError as error:
        raise _invalid("it is nested too deeply", where) from error
    except _Refused as error:
        raise _invalid(str(error), where) from error
    except ValueError as error:  # an integer of more than 4300 digits
        raise _invalid("it holds a number that is too long", where) from error
    return document


class _Refused(Exception):
    """Well-formed JSON that isn't taken here; the message says what it holds."""


def _invalid(reason: str, where: Sequence[str]) -> Invalid:
    place = f"`{'.'.join(where)}`" if where else "the body"
    return Invalid(
        f"This can't be read as strict JSON: in {place}, {reason}. Correct it and send the request again.",
        code="invalid_json",
        title="The JSON can't be read",
    )


def _refuse_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused(f"the number {text[:30]} is too large")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"the key {printable(twice)[:80]!r} stands twice in one object")
    return document


def _check_strings(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        for value in level:
            if isinstance(value, str):
                _check_string(value)
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise _Refused(f"it is nested more than {MAX_DEPTH} levels deep")


def _children(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else ()


def _check_string(text: str) -> None:
    if "\0" in text:
        raise _Refused("a string holds the character NUL")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Refused("a string holds half of a surrogate pair")
