"""Files as answers: parts of them by Range, and nothing at all where the caller has them already."""

import os
from collections.abc import Mapping
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response

from app.api.problems import ProblemResponse, RangeBeyondEnd, request_id_of
from app.core.errors import NotFound


def file_response(
    request: Request,
    path: Path,
    *,
    sha256: str,
    media_type: str,
    file_name: str | None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Offered for saving as `file_name`, or shown in place where that is None."""
    etag = f'"sha256-{sha256}"'
    all_headers = {"ETag": etag, "Cache-Control": "private, no-cache", **(headers or {})}
    if _has_it_already(request, etag):
        return Response(status_code=304, headers=all_headers)
    found = _stat(path)
    if not _range_is_served(request, etag, found.st_size):
        return _range_beyond_end(request, found.st_size)
    return FileResponse(path, headers=all_headers, media_type=media_type, filename=file_name, stat_result=found)


def _has_it_already(request: Request, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise NotFound("The file was deleted a moment ago.", code="file_gone") from error


def _range_is_served(request: Request, etag: str, size: int) -> bool:
    """`FileResponse` answers bad ranges in plain text. RFC 9110 has those that aren't well-formed ignored."""
    if "range" not in request.headers or request.headers.get("if-range", etag) != etag:
        return True
    try:
        FileResponse._parse_range_header(request.headers["range"], size)
    except MalformedRangeHeader:
        request.scope["headers"] = [header for header in request.scope["headers"] if header[0] != b"range"]
    except RangeNotSatisfiable:
        return False
    return True


def _range_beyond_end(request: Request, size: int) -> Response:
    problem = RangeBeyondEnd(f"The file has {size} bytes. Ask for a range within them, or for the whole file.")
    response = ProblemResponse(problem, request_id=request_id_of(request))
    response.headers["Content-Range"] = f"bytes */{size}"
    return response
