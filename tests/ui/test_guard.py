"""Who is let in: real requests to a running interface, and what its command refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5ui.server.cli import is_local


def p5_ui(*options: str) -> Result:
    return CliRunner().invoke(build(load_plugins()), ["ui", *options])


@pytest.fixture
def client(ui) -> httpx.Client:
    with httpx.Client(base_url=ui.address, timeout=20) as client:
        yield client


def upload(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/gradio_api/upload", files={"files": ("a.csv", b"user,item\n1,2\n")}, headers=headers)


@pytest.mark.parametrize("path", ["/", "/runs", "/config", "/gradio_api/info", "/gradio_api/startup-events"])
def test_another_name_of_this_machine_is_refused(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"Host": "evil.example"}).status_code == 400
    assert client.get(path).status_code == 200


def test_pages_of_other_sites_cannot_upload(client: httpx.Client) -> None:
    for origin in ("http://evil.example", "null", str(client.base_url).replace("http", "ftp") + ".evil.example"):
        refused = upload(client, Origin=origin)
        assert refused.status_code == 403
        assert refused.text == "This request came from a page of another site and was refused."
    assert upload(client, Host="evil.example", Origin="http://evil.example").status_code == 400
    assert upload(client, Origin=str(client.base_url).rstrip("/")).status_code == 200
    assert upload(client).status_code == 200


def test_pages_of_other_sites_cannot_ask(client: httpx.Client) -> None:
    for method, path in (
        ("POST", "/gradio_api/queue/join"),
        ("OPTIONS", "/gradio_api/run/predict"),
        ("GET", "/config"),
    ):
        assert client.request(method, path, headers={"Origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/monitoring", "/gradio_api/runs"])
def test_what_nobody_needs_is_not_there(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (403, 404)


@pytest.mark.parametrize("name", ["runs/first/status.json", "runs/first/experiment.toml", "../etc/passwd"])
def test_files_of_the_folder_are_not_served(ui, client: httpx.Client, name: str) -> None:
    assert client.get(f"/gradio_api/file={ui.workspace.folder}/{name}").status_code in (403, 404)


def test_uploads_stay_in_the_working_folder(ui, client: httpx.Client) -> None:
    (path,) = upload(client).json()
    assert Path(path).is_relative_to(ui.workspace.folder / ".gradio")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines in. Add --auth USER, or listen at 127.0.0.1."),
        (["--host", "::"], "--host :: lets other machines in. Add --auth USER"),
        (["--folder", "/nowhere"], "There is no folder /nowhere. Make it first, or name another --folder."),
    ],
)
def test_what_the_command_refuses(options: list[str], sentence: str) -> None:
    found = p5_ui(*options)
    assert found.exit_code == 1
    assert sentence in found.output


@pytest.mark.parametrize(
    ("package", "options", "sentence"),
    [
        ("gradio", [], "'p5 ui' needs the package gradio, which is not installed. Run: pip install 'p5rec[ui]'"),
        (
            "mcp",
            ["--mcp"],
            "'p5 ui --mcp' needs the package mcp, which is not installed. Run: pip install 'p5rec[mcp]'",
        ),
    ],
)
def test_without_its_packages_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, package: str, options: list[str], sentence: str
) -> None:
    monkeypatch.setattr("p5ui.server.cli.find_spec", lambda name: None if name == package else object())
    assert sentence in p5_ui(*options).output


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("10.0.0.1", False), ("::", False)]
)
def test_addresses_of_this_machine(host: str, expected: bool) -> None:
    assert is_local(host) is expected


def test_a_password_lets_others_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P5_UI_PASSWORD", "open sesame")
    command = [sys.executable, "-m", "p5core.cli", "ui", "--folder", str(tmp_path), "--host", "0.0.0.0", "--port", "0"]
    options = ["--auth", "ali", "--allow-host", "p5.example", "--demo"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "There is no run" in process.stdout.readline()
        port = re.findall(r":(\d+)/", process.stdout.readline())[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": "p5.example"}) as client:
            assert client.get("/config").status_code == 401
            assert client.post("/login", data={"username": "ali", "password": "baba"}).status_code == 401
            assert client.post("/login", data={"username": "ali", "password": "open sesame"}).status_code == 200
            assert client.get("/config").status_code == 200
            assert client.get("/config", headers={"Host": "evil.example"}).status_code == 400
            assert client.post("/gradio_api/mcp/", json={}).status_code == 404, "nobody asked for --mcp"
        process.terminate()
