"""Refuses excess, oversized and slow requests before the application sees them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p5export.service.limits import Limits

__all__ = ["BUSY", "Guard", "Load"]

BUSY = {"Retry-After": "1"}
"""Headers of a 503."""

POLICY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; frame-ancestors 'none'"
)
"""The page at /docs may load nothing from elsewhere."""


MOST_HELD = 2**26
"""Bytes of all requests that are still arriving."""


@dataclass
class Load:
    """Counts of open requests and of bytes held."""

    open: int = 0
    """those whose body is there, to the end of their answer"""
    reading: int = 0
    """those whose body is still coming"""
    held: int = 0
    """bytes of bodies that are still coming"""


class _Refused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.response = JSONResponse({"detail": detail}, status, BUSY if status == 503 else {"Connection": "close"})


class _Gone(Exception):
    """The client went away."""


class Guard:
    """Middleware that reads a body before it lets the request in."""

    def __init__(self, app: ASGIApp, limits: Limits, load: Load) -> None:
        self.app, self._limits, self._load = app, limits, load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                marks = [(b"content-security-policy", POLICY), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message.get("headers", ()), *marks]}
            await send(message)

        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send_marked)
            return
        try:
            await self._admit(scope, receive, send_marked)
        except _Refused as refused:
            await refused.response(scope, receive, send_marked)
        except _Gone:
            return

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request takes a place when all of it is there, so that slow clients hold none."""
        body = await self._body(scope, receive)
        if self._load.open >= self._limits.requests:
            raise _Refused(503, f"The server is answering {self._load.open} requests already. Try again in a second.")
        self._load.open += 1
        try:
            await self.app(scope, _replay(body, receive), send)
        finally:
            self._load.open -= 1

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limits = self._limits
        too_large = _Refused(413, f"The request is larger than {limits.body:,} bytes.")
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared[:20]) > limits.body:
            raise too_large
        self._load.reading += 1
        body = bytearray()
        try:
            async with asyncio.timeout(limits.timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    block = message.get("body", b"")
                    body += block
                    self._load.held += len(block)
                    if len(body) > limits.body:
                        raise too_large
                    if self._load.held > max(MOST_HELD, limits.body):
                        raise _Refused(503, "Too many large requests are arriving. Try again in a second.")
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise _Refused(408, f"The request did not arrive within {limits.timeout:g} seconds.") from None
        finally:
            self._load.reading -= 1
            self._load.held -= len(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The messages for the application: the body received so far, then further ones."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
