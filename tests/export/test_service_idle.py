"""Connections that ask for nothing, or slowly, shut nobody out: a real server and a thousand sockets."""

from __future__ import annotations

import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

TIMEOUT = 3
N_IDLE = 1_030


@pytest.fixture(scope="module")
def address(histories: tuple[Path, Path]) -> Iterator[str]:
    command = [sys.executable, "-m", "p5core.cli", "serve", str(histories[1]), "--port", "0", "--timeout", str(TIMEOUT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield re.findall(r"http://[\d.:]+", process.stdout.readline())[0]
        process.send_signal(signal.SIGTERM)


def connection(address: str) -> socket.socket:
    host, _, port = address.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def answer(one: socket.socket) -> bytes:
    """One whole answer, which may come in pieces."""
    received = b""
    while not received.endswith(b"}"):
        received += one.recv(65_536)
    return received


def is_closed(one: socket.socket) -> bool:
    """Closed by the server, perhaps after an answer."""
    one.setblocking(False)
    try:
        while one.recv(4096):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


BEGUN = b"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
"""A request whose body stops after a byte."""


@pytest.mark.parametrize("sent", [b"", BEGUN], ids=["nothing", "a byte of a body"])
def test_a_thousand_slow_connections_shut_nobody_out(address: str, sent: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * N_IDLE)), hard))
    with ExitStack() as stack:
        idle = [stack.enter_context(connection(address)) for _ in range(N_IDLE)]
        for one in idle:
            one.sendall(sent)
        for _ in range(20):
            assert httpx.get(f"{address}/health", timeout=5).status_code == 200
            assert httpx.post(f"{address}/recommend", json={"history": []}, timeout=5).status_code == 200
        deadline = time.monotonic() + 4 * TIMEOUT
        while not all(is_closed(one) for one in idle):
            assert time.monotonic() < deadline, sum(not is_closed(one) for one in idle)
            time.sleep(0.2)
    assert httpx.get(f"{address}/health", timeout=5).json()["open"] == 0


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_slow_headers_have_a_deadline(address: str, before: bytes) -> None:
    with connection(address) as slow:
        if before:
            slow.sendall(before)
            assert b"200 OK" in answer(slow)
        slow.sendall(b"GET /health HTTP/1.1\r\n")
        began = time.monotonic()
        try:
            while True:
                slow.sendall(b"X-Slow: 1\r\n")
                time.sleep(0.3)
                assert time.monotonic() - began < 3 * TIMEOUT
        except ConnectionError:
            pass
        assert time.monotonic() - began > TIMEOUT - 1


def test_a_connection_may_rest_between_requests(address: str) -> None:
    with connection(address) as kept:
        for _ in range(2):
            kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in answer(kept)
            time.sleep(TIMEOUT + 1)
