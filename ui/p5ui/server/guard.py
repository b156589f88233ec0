"""Same-origin protection: only the interface's own pages, under its own host names, may call it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p5ui.server.login import Account, Login

__all__ = ["LOCAL", "SafeHeaders", "SameOrigin", "app_options"]

LOCAL = ("127.0.0.1", "localhost", "[::1]")

HEADERS = {
    "content-security-policy": "frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
"""No page of another site may show one of ours in a frame, guess at types, or be told addresses."""


class SafeHeaders:
    """Adds HEADERS to every answer that does not have its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and mark the answer."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, marked if scope["type"] == "http" else send)


class SameOrigin:
    """Answers 403 to whatever a browser sends on behalf of another site's page, uploads included.

    Browsers name the page in `Origin`; programs send none and pass. TrustedHost checks the `Host` that it must equal.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        origin = headers.get("origin")
        if origin is None or urlsplit(origin).netloc == headers.get("host"):
            await self.app(scope, receive, send)
        else:
            refused = PlainTextResponse("This request came from a page of another site and was refused.", 403)
            await refused(scope, receive, send)


def app_options(hosts: Sequence[str], account: Account | None = None) -> dict[str, Any]:
    """Options of the web application: Host, Origin and login are checked first, and it does not describe itself."""
    names = list(dict.fromkeys([*LOCAL, *(f"[{host}]" if ":" in host else host for host in hosts)]))
    checks = [
        Middleware(SafeHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False),
        Middleware(SameOrigin),
        *([Middleware(Login, account=account)] if account else []),
    ]
    return {"middleware": checks, "openapi_url": None, "docs_url": None, "redoc_url": None}
