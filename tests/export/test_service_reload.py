"""A server whose export is replaced, damaged or ended under load."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server, serving

import p5core
from p5core.plugins.registry import Registry
from p5core.system.files import sha256
from p5core.system.folders import replace_folder
from p5export.bundle.bundle import seal
from p5export.export import Exported, export_run
from p5export.graph.serving import ExportOptions


@pytest.fixture
def folder(exported: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "export"))


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as running:
        yield running


def told(server: Server) -> str:
    """The next line that the server prints."""
    assert server.process.stdout is not None
    return server.process.stdout.readline()


def hash_of(server: Server) -> str:
    return str(server.client.get("/health").json()["sha256"])


def recommended(server: Server, ids: list[str]) -> list[str]:
    answer = server.post("/recommend", {"history": ids[:2], "k": 5})
    assert answer.status_code == 200, answer.text
    return [one["item"] for one in answer.json()["items"]]


def test_the_export_is_loaded_again_at_sighup(
    server: Server, folder: Path, run: p5core.Run, registry: Registry, ids: list[str], tmp_path: Path
) -> None:
    before = hash_of(server)
    assert len(recommended(server, ids)) == 5
    allowed = ids[4:7]
    new = export_run(run, tmp_path / "new", registry, ExportOptions(allow=allowed), lambda text: None).folder
    replace_folder(new, folder)
    assert hash_of(server) == before
    server.process.send_signal(signal.SIGHUP)
    assert told(server) == "Serving 'text' from now on.\n"
    assert hash_of(server) != before
    assert set(recommended(server, ids)) == set(allowed)


def test_a_damaged_export_replaces_nothing(server: Server, folder: Path, ids: list[str]) -> None:
    before = recommended(server, ids)
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)
    server.process.send_signal(signal.SIGHUP)
    assert told(server).startswith("The model is not replaced: ")
    assert recommended(server, ids) == before
    manifest = json.loads((folder / "p5.json").read_text())
    (folder / "p5.json").write_text(json.dumps({**manifest, "n_items": 1}))
    server.process.send_signal(signal.SIGHUP)
    assert "was changed after the export" in told(server)
    manifest["files"]["model.onnx"] = sha256(folder / "score.onnx")
    shutil.copy(folder / "score.onnx", folder / "model.onnx")
    (folder / "p5.json").write_text(json.dumps({**manifest, "seal": seal(manifest)}))
    server.process.send_signal(signal.SIGHUP)
    assert told(server).startswith("The model is not replaced: ")
    shutil.rmtree(folder)
    server.process.send_signal(signal.SIGHUP)
    assert "is no exported model" in told(server)
    assert recommended(server, ids) == before


def test_sigterm_answers_all_that_has_arrived(server: Server, ids: list[str]) -> None:
    body = json.dumps({"history": ids[:2], "k": 5}).encode()
    lines = ("POST /recommend HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "Content-Type: application/json"])
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(60)]
    for client in clients:
        client.sendall(head.encode() + b"\r\n\r\n" + body)
    server.process.send_signal(signal.SIGTERM)
    answers = [received(client) for client in clients]
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 60
    assert server.process.wait(15) == 0


def received(client: socket.socket) -> bytes:
    """All that a connection says before it ends."""
    content, deadline = b"", time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            block = client.recv(65_536)
        except ConnectionResetError:
            return content
        content += block
        if not block or content.endswith(b"]}"):
            break
    client.close()
    return content
