"""Parts that several routes' descriptions share."""

from typing import Any

from fastapi import Response

LOCATION = {"Location": {"description": "The address of what was made.", "schema": {"type": "string"}}}
RETRY_AFTER = {"Retry-After": {"description": "Seconds after which to look again.", "schema": {"type": "string"}}}
_ETAG = {"ETag": {"description": 'The content\'s hash: `"sha256-…"`.', "schema": {"type": "string"}}}
_ANY_BYTES = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


def say_where(response: Response, address: str) -> None:
    """What was accepted, and when to look at it again."""
    response.headers["Location"] = address
    response.headers["Retry-After"] = "1"


def json_content(schema: str, examples: dict[str, Any]) -> dict[str, Any]:
    """Of a body that a route reads itself."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": examples}}


def text_of(*media_types: str) -> dict[str, Any]:
    return {
        "description": "The text.",
        "content": {media_type: {"schema": {"type": "string"}} for media_type in media_types},
    }


DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "headers": _ETAG,
        "content": {"application/octet-stream": {"schema": _ANY_BYTES}},
    },
    206: {
        "description": "The asked range of the file.",
        "headers": _ETAG,
        "content": {"application/octet-stream": {"schema": _ANY_BYTES}},
    },
    304: {"description": "The caller has this content already.", "headers": _ETAG},
}
