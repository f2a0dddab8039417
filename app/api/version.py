"""/version"""

import platform
from typing import Literal

from fastapi import APIRouter

from app.core.schemas import Schema
from app.core.version import VERSION

router = APIRouter(tags=["health"])


class Version(Schema):
    name: Literal["modelpress"] = "modelpress"
    version: str
    api: Literal["v1"] = "v1"
    python: str


@router.get("/version", summary="Show the service's version")
def show_version() -> Version:
    return Version(version=VERSION, python=platform.python_version())
