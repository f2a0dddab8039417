"""Where a request is wrong, told by the path that its sender wrote."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import FieldError, Invalid

MAX_ERRORS = 20

# The positions of a location's parts that are kept, and the place in the document to which they lead.
_Walk = tuple[tuple[int, ...], Any]

_MESSAGES = {
    "extra_forbidden": "this field is not known here",
    "missing": "this field is required and missing",
}


def validation_problem(errors: Sequence[Mapping[str, Any]], document: object, where: Sequence[str] = ()) -> Invalid:
    """From pydantic's errors about `document`, which stands at `where` in the request."""
    errors = [error for error in errors if not _is_echo(error)]
    fields = [
        FieldError(where=printable(_path(error, document, where)), message=printable(_message(error)))
        for error in errors[:MAX_ERRORS]
    ]
    first = fields[0]
    more = f" {len(errors) - 1} more are listed in `errors`." if len(errors) > 1 else ""
    return Invalid(
        f"`{first.where}`: {first.message}.{more} Correct this and send the request again; /docs shows what is taken.",
        code="invalid_request",
        title="The request has a field that is wrong",
        errors=fields,
    )


def printable(text: str) -> str:
    """Text that can always be written as UTF-8: what a caller sent may hold lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()[:500]


def _is_echo(error: Mapping[str, Any]) -> bool:
    """Of a list with wrong members pydantic says that it is too short too, since it doesn't count them."""
    return error["type"] == "too_short" and bool(len(error["input"]) >= error["ctx"]["min_length"])


def _message(error: Mapping[str, Any]) -> str:
    return _MESSAGES.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ").rstrip(".")


def _path(error: Mapping[str, Any], document: object, where: Sequence[str]) -> str:
    location = tuple(error["loc"])
    if location[:1] == ("body",):
        location = location[1:]
    if document is not None:  # else it is about a parameter, or a value with nothing inside
        location = _written(location, document, error["type"] == "missing")
    return ".".join((*where, *map(str, location))) or "body"


def _written(location: tuple[int | str, ...], document: Any, missing: bool) -> tuple[int | str, ...]:
    """Leaves out what pydantic adds to a path and the sender never wrote: tags and types of a union's members.

    A tag may be the name of a field too. So all walks are followed that keep or leave a part out, the best one to
    each place in the document; the one that keeps most is right, and of several the one that keeps the last parts.
    """
    walks: dict[int, _Walk] = {id(document): ((), document)}
    for position, part in enumerate(location):
        may_lack = missing and position == len(location) - 1
        longer = [
            ((*kept, position), _at(part, place))
            for kept, place in walks.values()
            if _is_in(part, place) or (may_lack and _could_be_in(part, place))
        ]
        ordered = sorted([*walks.values(), *longer], key=_how_much)
        walks = {id(place): (kept, place) for kept, place in ordered}
    kept, _ = max(walks.values(), key=_how_much)
    return tuple(location[position] for position in kept)


def _how_much(walk: _Walk) -> tuple[int, tuple[int, ...]]:
    return len(walk[0]), walk[0]


def _is_in(part: int | str, document: Any) -> bool:
    if isinstance(document, list):
        return isinstance(part, int) and part < len(document)
    return isinstance(document, dict) and part in document


def _could_be_in(part: int | str, document: Any) -> bool:
    return isinstance(document, dict) or (isinstance(document, list) and isinstance(part, int))


def _at(part: int | str, document: Any) -> Any:
    return document[part] if _is_in(part, document) else None
