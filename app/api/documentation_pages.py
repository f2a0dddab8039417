"""ReDoc's page, without the one picture that its script takes from another host. FastAPIOffline serves the rest."""

from functools import cache
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_redoc_html

STATIC = Path(fastapi_offline.__file__).parent / "static"
_FOREIGN_PICTURE = "https://cdn.redoc.ly/redoc/logo-mini.svg"
_NO_PICTURE = "data:,"

router = APIRouter(include_in_schema=False)


@router.get("/redoc")
async def show_redoc(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    return get_redoc_html(
        openapi_url=f"{root}/openapi.json",
        title="modelpress",
        redoc_js_url=f"{root}/redoc.js",
        redoc_favicon_url=f"{root}/static-offline-docs/favicon.png",
        with_google_fonts=False,
    )


@router.get("/redoc.js")
def show_redoc_script() -> Response:
    return Response(_redoc_script(), media_type="text/javascript")


@cache
def _redoc_script() -> bytes:
    script = (STATIC / "redoc.standalone.js").read_bytes()
    return script.replace(_FOREIGN_PICTURE.encode(), _NO_PICTURE.encode())
