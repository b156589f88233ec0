"""Authentication in front of every route; without a session or password only the login page is served.

gradio asks for a login route by route and mounts its MCP application beside that, so it is not asked here at all.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["FREE_GUESSES", "Account", "Login"]

SESSION_SECONDS = 7 * 86_400
FREE_GUESSES = 5
"""Consecutive wrong passwords answered at once; after each further one, all logins wait."""

LONGEST_WAIT = 60.0
"""Seconds."""

MAX_FORM = 4_096
"""Bytes that a login may take."""

STARTUP = "/gradio_api/startup-events"
"""Path that gradio requests from itself once at start."""


@dataclass
class Account:
    """Credentials, active sessions, and the count of wrong passwords."""

    user: str
    password: str
    clock: Callable[[], float] = time.monotonic
    has_started: bool = False
    """True once the application runs; until then its own requests pass"""

    cookie: str = field(default_factory=lambda: f"p5-session-{secrets.token_hex(4)}")
    """of this process alone: browsers send the cookies of a host to all its ports"""

    _sessions: dict[str, float] = field(default_factory=dict)
    _wrong: int = 0
    _closed_until: float = 0.0

    def seconds_closed(self) -> float:
        """Seconds for which no password is accepted after too many wrong ones."""
        return max(0.0, self._closed_until - self.clock())

    def is_right(self, user: str, password: str) -> bool:
        """Compare in constant time; each wrong password after the free ones doubles the waiting time."""
        matches = hmac.compare_digest(user.encode(), self.user.encode())
        matches &= hmac.compare_digest(password.encode(), self.password.encode())
        if matches:
            self._wrong = 0
        else:
            self._wrong += 1
            if self._wrong >= FREE_GUESSES:
                wait = min(LONGEST_WAIT, 2.0 ** (self._wrong - FREE_GUESSES))
                self._closed_until = self.clock() + wait
        return matches

    def begin(self) -> str:
        """A new session; returns what its cookie holds."""
        now = self.clock()
        self._sessions = {expiry: end for expiry, end in self._sessions.items() if end > now}
        token = secrets.token_urlsafe(32)
        self._sessions[token] = now + SESSION_SECONDS
        return token

    def knows(self, token: str) -> bool:
        """True if the cookie belongs to an active session."""
        return self._sessions.get(token, 0.0) > self.clock()

    def end(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(token, None)


class Login:
    """Middleware that lets in sessions and, for programs, basic authentication; every other request is refused."""

    def __init__(self, app: ASGIApp, account: Account) -> None:
        self.app, self.account = app, account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            request = Request(scope, receive)
            answer = await self._answer(request)
            if answer is None:
                await self.app(scope, receive, send)
            else:
                await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """The response to a request that is not passed on; None to pass it on."""
        path, token = request.url.path, request.cookies.get(self.account.cookie, "")
        if path.rstrip("/") == "/login":
            return await self._login(request) if request.method == "POST" else _login_page(self.account.knows(token))
        if path.rstrip("/") == "/logout" and request.method == "POST":
            self.account.end(token)
            return _login_page(False)
        if self.account.knows(token) or (path == STARTUP and not self.account.has_started):
            return None
        credentials = _basic(request.headers)
        if credentials is not None:
            return self._closed() or (
                None if self.account.is_right(*credentials) else _refused("Wrong user or password.")
            )
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            address = f"{path}?{request.url.query}" if request.url.query else path
            return RedirectResponse(f"/login?next={quote(address, safe='')}", 303)
        return _refused("Log in first: POST user and password to /login, or send them by basic authentication.")

    async def _login(self, request: Request) -> Response:
        form = await _form(request)
        closed = self._closed()
        if closed is not None:
            return closed
        if not self.account.is_right(form.get("username", ""), form.get("password", "")):
            return _login_page(False, "Wrong user or password.", 401)
        answer = _login_page(True, forward=_local(request.query_params.get("next", "/")))
        answer.set_cookie(
            self.account.cookie, self.account.begin(), max_age=SESSION_SECONDS, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    def _closed(self) -> Response | None:
        seconds = self.account.seconds_closed()
        if not seconds:
            return None
        wait = str(int(seconds) + 1)
        return PlainTextResponse(
            f"Too many wrong passwords. Try again in {wait} s.", 429, {"Retry-After": wait, "Cache-Control": "no-store"}
        )


def _basic(headers: Headers) -> tuple[str, str] | None:
    """User and password of basic authentication (RFC 7617)."""
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


async def _form(request: Request) -> dict[str, str]:
    """The fields of a short form; nothing of a longer one."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MAX_FORM:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _local(address: str) -> str:
    """A path of this server; another site's address leads to the first page."""
    is_path = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_path and not address.startswith("/login") else "/"


def _refused(text: str) -> Response:
    return PlainTextResponse(text, 401, {"WWW-Authenticate": 'Basic realm="P5", charset="UTF-8"'})


def _login_page(is_in: bool, message: str = "", status: int = 200, forward: str = "") -> HTMLResponse:
    """The page that asks for the password or, once logged in, leads on and lets log out."""
    text = files("p5ui").joinpath("login.html").read_text(encoding="utf-8")
    refresh = f'<meta http-equiv="refresh" content="0; url={escape(forward)}">' if forward else ""
    text = text.replace("{refresh}", refresh).replace("{message}", escape(message))
    text = text.replace("{state}", "in" if is_in else "out").replace("{forward}", escape(forward or "/"))
    policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    return HTMLResponse(text, status, {"Content-Security-Policy": policy, "Cache-Control": "no-store"})
