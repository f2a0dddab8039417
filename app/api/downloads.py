"""Files as answers: parts of them by Range, and nothing at all where the caller has them already."""

import os
from collections.abc import Mapping
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, Response

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
    return FileResponse(path, headers=all_headers, media_type=media_type, filename=file_name, stat_result=_stat(path))


def _has_it_already(request: Request, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise NotFound("The file was deleted a moment ago.", code="file_gone") from error
