"""Answers a request whose body isn't wanted any more without cutting its sender off.

A refusal is sent while the body still arrives. If the connection were closed then, most clients would report a
broken connection and never read the answer. So the answer goes out in full, except for the mark of its end, and the
rest of the body is read and dropped for a while first.
"""

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_SECONDS = 10.0


class LingeringClose:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(receive, started="expect" not in Headers(scope=scope))

        async def send_then_linger(message: Message) -> None:
            if message["type"] != "http.response.body" or message.get("more_body", False) or not body.is_arriving:
                await send(message)
                return
            await send({**message, "more_body": True})
            await body.drop_rest()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(scope, body.receive, send_then_linger)


class _Body:
    """`started` is false while the client waits for "100 Continue" and so sends nothing."""

    def __init__(self, receive: Receive, *, started: bool) -> None:
        self._receive = receive
        self.is_arriving = started

    async def receive(self) -> Message:
        message = await self._receive()
        self.is_arriving = message.get("more_body", False)
        return message

    async def drop_rest(self) -> None:
        with anyio.move_on_after(LINGER_SECONDS):
            while self.is_arriving:
                await self.receive()


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
