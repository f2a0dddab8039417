"""Keeps web pages of other sites away from a service that needs no key.

A page can't read a loopback service's answers, but it can post to it, and by re-binding its own name to 127.0.0.1 it
can read them too. So where no key is needed, only requests for a known host are answered, and none that another
site's page sent.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import ProblemResponse
from app.core.errors import Forbidden
from app.core.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class BrowserGuard:
    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._hosts = LOOPBACK_NAMES | {settings.host} | {name.lower() for name in settings.allowed_hosts}
        self._checks_host = settings.on_loopback()
        self._checks_origin = settings.on_loopback() or settings.insecure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await ProblemResponse(refusal, request_id=scope["state"]["request_id"])(scope, receive, send)

    def _refusal(self, headers: Headers) -> Forbidden | None:
        hosts = headers.getlist("host")
        if self._checks_host and (len(hosts) != 1 or _host_name(hosts[0]) not in self._hosts):
            return Forbidden(
                "The service answers only to names of the loopback address, such as http://127.0.0.1. To use another "
                "name, list it in MODELPRESS_ALLOWED_HOSTS.",
                code="foreign_host",
            )
        if self._checks_origin and any(not _is_same_site(origin, hosts) for origin in headers.getlist("origin")):
            return Forbidden(
                "The request was sent by a web page of another site. Send it from a program, or from this service's "
                "own pages.",
                code="foreign_origin",
            )
        return None


def _host_name(host: str) -> str | None:
    """Without the port and the brackets; None where it is no host at all."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_same_site(origin: str, hosts: list[str]) -> bool:
    _, separator, host = origin.lower().partition("://")
    return bool(separator) and [host] == [name.lower() for name in hosts]
