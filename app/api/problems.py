"""Every error is answered as application/problem+json (RFC 9457)."""

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Mount

from app.api.validation import validation_problem
from app.core.errors import (
    Busy,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    OutOfSpace,
    Problem,
    TooLarge,
    Unauthorized,
)
from app.core.schemas import Schema

MEDIA_TYPE = "application/problem+json"

_DETAILS = {
    404: "Nothing is served at this address. The service's addresses are listed at /docs.",
    405: "This address doesn't answer this method. The header Allow names those that it does; see /docs.",
}


class NotAcceptable(Problem):
    status, default_code, default_title = 406, "not_acceptable", "There is no answer of the kind asked for"


class UnsupportedMediaType(Problem):
    status, default_code, default_title = 415, "unsupported_media_type", "The body is of a kind not taken here"


class RangeBeyondEnd(Problem):
    status, default_code, default_title = 416, "range_not_satisfiable", "There is no such part of the file"


class ProblemDocument(Schema):
    """What every error looks like. `code` is stable and made for programs, `detail` for people."""

    type: str = Field(examples=["urn:modelpress:problem:not_found"])
    title: str = Field(examples=["There is no such thing here"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What is wrong, where, and what to do next.")
    code: str = Field(examples=["not_found"])
    request_id: str = Field(description="Also in the header X-Request-ID, and in the service's log.")
    errors: tuple[FieldError, ...] = Field(description="The wrong places of a request, where there are any.")


class ProblemResponse(Response):
    media_type = MEDIA_TYPE

    def __init__(self, problem: Problem, *, request_id: str, status: int | None = None) -> None:
        document = _document(problem, status or problem.status, request_id)
        headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
        if problem.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(json.dumps(document), status or problem.status, headers)


def _document(problem: Problem, status: int, request_id: str) -> dict[str, Any]:
    return {
        "type": f"urn:modelpress:problem:{problem.code}",
        "title": problem.title,
        "status": status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        "errors": [error.model_dump() for error in problem.errors],
    }


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)


def request_id_of(request: Request) -> str:
    return str(request.scope["state"]["request_id"])


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return ProblemResponse(error, request_id=request_id_of(request))


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return ProblemResponse(validation_problem(error.errors(), error.body), request_id=request_id_of(request))


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    """Those that the framework raises itself: an unknown address, a wrong method."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = _DETAILS.get(error.status_code, f"{phrase}. See /docs for what this address takes.")
    problem = Problem(detail, code=phrase.lower().replace(" ", "_"), title=phrase)
    response = ProblemResponse(problem, request_id=request_id_of(request), status=error.status_code)
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> list[str]:
    """All that the address answers; the framework names only those of the first route that it finds."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    scopes = {method: {**request.scope, "method": method} for method in ("DELETE", "GET", "HEAD", "POST")}
    answered = [
        method for method, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]
    return answered or ["GET", "HEAD"]  # what the mounted files answer


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: each of these is a problem document."""
    return {status: _described(status) for status in sorted({*statuses, 401, 403, 422, 500, 503})}


def _described(status: int) -> dict[str, Any]:
    kind = _KINDS[status]
    example = _document(kind("What is wrong, where, and what to do next."), status, "6e76883140a02c1d")
    content = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "example": example}
    return {"description": kind.default_title, "content": {MEDIA_TYPE: content}}


_KINDS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        Unauthorized, Forbidden, NotFound, NotAcceptable, Conflict, TooLarge, UnsupportedMediaType, RangeBeyondEnd,
        Invalid, Problem, Busy, OutOfSpace,
    )
}  # fmt: skip
