"""Asks every route of the interface without a login, and prints what it said: one JSON line each.

A program of its own, since gradio leaves event loops behind in the process that builds an application.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gradio.routes import App
from starlette.testclient import TestClient

from p5core.plugins.discovery import load_plugins
from p5ui.server.app import build_app
from p5ui.server.guard import app_options
from p5ui.server.login import Account
from p5ui.workspace.workspace import Workspace

ODD = ("//config", "/login/../config", "/CONFIG", "/login%2f..%2fconfig", "/login/x", "/%6cogin/x", "/gradio_api//info")


def addresses(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, those of mounted applications and routers too."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from addresses(router.routes, prefix)
            continue
        path = prefix + re.sub(r"\{[^}]*\}", "x", route.path)
        methods = getattr(route, "methods", None)
        for method in methods or ("GET", "POST", "DELETE", "PUT"):
            yield from ((method, one) for one in ([path] if methods else [path, f"{path}/x"]))
        yield from addresses(getattr(route, "routes", None) or (), path)


def main() -> None:
    """Ask."""
    workspace = Workspace(Path(tempfile.mkdtemp()), load_plugins())
    options = app_options(["testserver"], Account("ali", "open sesame", has_started=True))
    app = App.create_app(build_app(workspace), app_kwargs=options, mcp_server=find_spec("mcp") is not None)
    client = TestClient(app, follow_redirects=False)
    for method, path in [*sorted(set(addresses(app.routes))), *(("GET", one) for one in ODD)]:
        for accepted in ("*/*", "text/html"):
            found = client.request(method, path, headers={"Accept": accepted, "Cookie": "p5-session=guess"})
            said = [method, path, accepted, found.status_code, found.text, found.headers.get("location", "")]
            sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
