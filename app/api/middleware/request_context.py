"""Gives each request an id, logs its outcome, and turns what nobody expected into a 500 without internals."""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import ProblemResponse
from app.core.errors import Problem

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})  # asked every few seconds, by machines
_log = structlog.get_logger("modelpress.http")


class RequestContext:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, _request_id(scope))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        with structlog.contextvars.bound_contextvars(request_id=answer.request_id):
            began = time.perf_counter()
            try:
                await self.app(scope, receive, answer.send)
            except ClientDisconnect:
                _log.info("client_gone", method=scope["method"], path=scope["path"])
            except Exception:
                _log.exception("unexpected_error", method=scope["method"], path=scope["path"])
                if answer.status is not None:
                    raise
                await _internal_error(answer.request_id)(scope, receive, answer.send)
            milliseconds = round((time.perf_counter() - began) * 1000, 1)
            log = _log.debug if scope["path"] in PROBES else _log.info
            log("request", method=scope["method"], path=scope["path"], status=answer.status, ms=milliseconds)


class _Answer:
    """Adds the id to the headers and remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self.request_id
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)


def _internal_error(request_id: str) -> ProblemResponse:
    problem = Problem(
        "Something went wrong inside the service, and nothing more can be said here. Try again; if it happens again, "
        f"the service's log has the cause under the request id {request_id}."
    )
    return ProblemResponse(problem, request_id=request_id)
