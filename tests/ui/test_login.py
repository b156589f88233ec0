"""Nothing of the interface is open to those who have not logged in: no route, no tool, no guess after guess."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from p5core.config.document import parse_experiment
from p5core.plugins.discovery import load_plugins
from p5core.workflows import train as pipeline
from p5ui.server.login import FREE_GUESSES, Account, Login
from p5ui.workspace.workspace import Workspace

WHO = ("ali", "open sesame")


async def inside(scope: Any, receive: Any, send: Any) -> None:
    """What lies behind the login."""
    await PlainTextResponse("inside")(scope, receive, send)


@pytest.fixture
def client() -> TestClient:
    return TestClient(Login(inside, Account(*WHO, has_started=True)), follow_redirects=False)


def test_no_route_answers_without_a_login() -> None:
    program = Path(__file__).parent / "every_route.py"
    said = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    listed = [json.loads(line) for line in said.splitlines()]
    paths = {path for _, path, *_ in listed}
    assert len(paths) > 60
    assert {"/config", "/gradio_api/mcp", "/gradio_api/queue/join", "/gradio_api/upload", "/"} <= paths
    for method, path, accepted, status, text, location in listed:
        if path.rstrip("/") == "/login" or (path.rstrip("/") == "/logout" and method == "POST"):
            assert (status in (200, 401), "Password" in text) == (True, True)
        elif status == 303:
            assert (method, accepted, location[:12]) == ("GET", "text/html", "/login?next=")
        else:
            assert status == 401, f"{method} {path}"
            assert text[:13] in ("Log in first:", "")  # HEAD has no text


def test_a_session_begins_with_the_password_and_ends_with_the_logout(client: TestClient) -> None:
    assert client.get("/config").status_code == 401
    said = client.post("/login", data={"username": WHO[0], "password": WHO[1]})
    assert said.status_code == 200
    cookie = said.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/config").text == "inside"
    name, _, value = said.headers["set-cookie"].partition(";")[0].partition("=")
    for neighbours in ('theme={"a":1,b}; {}', "é=1; a[0]=b; {}", "{}; token=a b,c@"):  # of other servers of this host
        cookies = neighbours.replace("{}", f"{name}={value}", 1) if "{}" in neighbours else ""
        bare = TestClient(client.app, cookies={})
        assert bare.get("/config", headers={"Cookie": cookies.encode()}).text == "inside", neighbours
    assert client.get("/login").text.count("Log out") == 1
    client.post("/logout")
    assert client.get("/config").status_code == 401


def test_a_login_leads_back_to_the_page_that_was_asked_for_and_nowhere_else(client: TestClient) -> None:
    asked = client.get("/runs?run=first", headers={"Accept": "text/html"}).headers["location"]
    found = client.post(asked, data={"username": WHO[0], "password": WHO[1]}).text
    assert 'content="0; url=/runs?run=first"' in found
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", 'x"><script>', "/\n/evil"):
        page = client.post("/login", params={"next": evil}, data={"username": WHO[0], "password": WHO[1]}).text
        assert 'content="0; url=/"' in page
        assert "evil" not in page


def test_sessions_of_two_servers_of_one_host_live_side_by_side() -> None:
    accounts = [Account(*WHO, has_started=True) for _ in range(2)]
    jar: dict[str, str] = {}
    for account in accounts:
        said = TestClient(Login(inside, account)).post("/login", data={"username": WHO[0], "password": WHO[1]})
        jar |= dict(said.cookies)
    for account in accounts:
        assert TestClient(Login(inside, account), cookies=jar).get("/config").text == "inside"


def test_long_forms_broken_cookies_and_sockets_get_nowhere(client: TestClient) -> None:
    name = client.app.account.cookie  # type: ignore[attr-defined]
    assert client.post("/login", content=b"username=ali&password=" + b"x" * 10**6).status_code == 401
    for cookie in (name, "=;=", f"{name}=" + "x" * 5_000, f"{name}=", '"', "a,b"):
        assert client.get("/config", headers={"Cookie": cookie}).status_code == 401
    for basic in ("Basic", "Basic !", "Basic YWxp", "Bearer x", "basic " + "A" * 5_000):
        assert client.get("/config", headers={"Authorization": basic}).status_code in (401, 429)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/queue/join"):
        pytest.fail("it was let in")


def test_guesses_become_slow_and_the_right_one_waits_too() -> None:
    now = [0.0]
    account = Account(*WHO, clock=lambda: now[0])
    client = TestClient(Login(inside, account))

    def guess(password: str, basic: bool = False) -> int:
        if basic:
            return client.get("/config", auth=(WHO[0], password)).status_code
        return client.post("/login", data={"username": WHO[0], "password": password}).status_code

    tried = 0
    for number in range(100):
        tried += guess(str(number), basic=bool(number % 2)) == 401
    assert tried == FREE_GUESSES
    assert guess(WHO[1]) == 429
    refused = client.post("/login", data={"username": WHO[0], "password": WHO[1]})
    assert refused.headers["retry-after"] == "2"
    for _ in range(3_600):
        now[0] += 1
        tried += guess("wrong") == 401
    assert tried < FREE_GUESSES + 75
    now[0] += 61
    assert guess(WHO[1]) == 200
    assert guess("wrong") == 401


@dataclass(frozen=True)
class Server:
    """A real interface with a password."""

    address: str
    workspace: Workspace


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, small: str) -> Iterator[Server]:
    workspace = Workspace(tmp_path_factory.mktemp("locked"), load_plugins())
    pipeline.run(parse_experiment(tomllib.loads(small), "small"), workspace.runs, "first", workspace.registry)
    (workspace.folder / "log.csv").write_text(
        "user,item\n" + "".join(f"{u},{u + i}\n" for u in range(20) for i in range(5))
    )
    command = [sys.executable, "-m", "p5core.cli", "ui", "--folder", str(workspace.folder), "--port", "0"]
    options = ["--auth", WHO[0], "--no-browser", *(["--mcp"] if find_spec("mcp") else [])]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env={**os.environ, "P5_UI_PASSWORD": WHO[1]}
    ) as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if line.startswith("P5 works in"))
        yield Server(re.findall(r"http://[\d.:]+", said)[0], workspace)
        process.terminate()


CALLS: dict[str, dict[str, Any]] = {
    "runs": {},
    "figures": {"run": "first"},
    "recommend": {"run": "first", "history": ["1", "2"]},
    "examine": {"file": "log.csv"},
    "start_run": {"experiment": "x", "name": "unauth"},
    "stop_run": {"run": "first"},
    "resume_run": {"run": "first"},
}


@pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp: pip install 'p5rec[mcp]'")
@pytest.mark.parametrize("name", CALLS)
def test_no_tool_works_without_a_login(server: Server, name: str) -> None:
    question = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": CALLS[name]}}
    accepted = {"Accept": "application/json, text/event-stream"}
    for path in ("/gradio_api/mcp/", "/gradio_api/mcp", "/gradio_api/mcp/http/", "/gradio_api/mcp/sse"):
        for headers in (accepted, {**accepted, "x-gradio-user": "mcp"}):
            assert httpx.post(server.address + path, json=question, headers=headers).status_code == 401
    assert not (server.workspace.folder / "jobs").exists() or not list((server.workspace.folder / "jobs").glob("0*"))


@pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp: pip install 'p5rec[mcp]'")
def test_every_tool_works_for_those_who_send_the_password(server: Server) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def asked() -> dict[str, Any]:
        async with (
            httpx.AsyncClient(auth=WHO, timeout=60) as client,
            streamable_http_client(f"{server.address}/gradio_api/mcp/", http_client=client) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            listed = {one.name for one in (await session.list_tools()).tools}
            assert set(CALLS) <= listed
            return {name: await session.call_tool(name, arguments) for name, arguments in CALLS.items()}

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(asyncio.run, asked()).result()
    for name in ("runs", "figures", "recommend", "examine"):
        assert not found[name].isError, found[name].content[0].text
    assert "title" in found["recommend"].content[0].text
    assert "not valid TOML" in found["start_run"].content[0].text
    assert "is not running" in found["stop_run"].content[0].text


def test_scripts_log_in_as_gradio_has_it(server: Server) -> None:
    client = Client(server.address, auth=WHO, verbose=False)
    assert [row["name"] for row in client.predict(api_name="/runs")] == ["first"]
    assert len(client.predict("first", ["1"], 3, api_name="/recommend")) == 3


def test_a_browser_logs_in_and_works(server: Server, browser: Browser) -> None:
    with browser.new_context(locale="en") as context:
        page = context.new_page()
        page.goto(f"{server.address}/runs?run=first")
        page.get_by_label("User").fill(WHO[0])
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_have_text("Wrong user or password.")
        page.get_by_label("User").fill(WHO[0])
        page.get_by_label("Password").fill(WHO[1])
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#runs-state")).to_contain_text("first", timeout=20_000)
        page.goto(f"{server.address}/recommend?run=first")
        page.locator("#recommend-anybody").click()
        expect(page.locator("#recommend-list-0 li").first).to_be_visible(timeout=30_000)


def test_no_other_page_may_show_ours_in_a_frame(ui: Any, browser: Browser, tmp_path: Path) -> None:
    for path in ("/", "/runs", "/config", "/login", "/nowhere", "/theme.css"):
        headers = httpx.get(ui.address + path, timeout=20).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    (tmp_path / "evil.html").write_text(f'<iframe src="{ui.address}/runs"></iframe>')
    page = browser.new_page()
    page.goto((tmp_path / "evil.html").as_uri())
    page.wait_for_timeout(1_500)
    assert page.frames[1].evaluate("document.body.innerText.includes('Runs')") is False
    page.close()
