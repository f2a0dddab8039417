"""Where a request is wrong, told by the path that its sender wrote."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import FieldError, Invalid

MAX_ERRORS = 20

_MESSAGES = {
    "extra_forbidden": "this field is not known here",
    "missing": "this field is required and missing",
}


def validation_problem(errors: Sequence[Mapping[str, Any]], document: object, where: Sequence[str] = ()) -> Invalid:
    """From pydantic's errors about `document`, which stands at `where` in the request."""
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


def _message(error: Mapping[str, Any]) -> str:
    return _MESSAGES.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ").rstrip(".")


def _path(error: Mapping[str, Any], document: object, where: Sequence[str]) -> str:
    location = tuple(error["loc"])
    if location[:1] == ("body",):
        location = location[1:]
    return ".".join((*where, *_written(location, document, error["type"] == "missing"))) or "body"


def _written(location: tuple[int | str, ...], document: Any, missing: bool) -> list[str]:
    """Leaves out what pydantic adds to a path: the tag of a union's member, which the sender never wrote as a key."""
    written: list[str] = []
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if _is_in(part, document):
            document = document[part]
        elif isinstance(document, dict) and not (missing and is_last):
            continue
        written.append(str(part))
    return written


def _is_in(part: int | str, document: Any) -> bool:
    if isinstance(document, list):
        return isinstance(part, int) and part < len(document)
    return isinstance(document, dict) and part in document
