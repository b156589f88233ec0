"""A server under requests of changing shapes, slow and idle clients, and bad bodies: every answer is accounted for.

4,000 requests here, 100,000 by `make chaos`.
"""

from __future__ import annotations

import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from servers import Server, serving

import p5core
from p5core.config.document import parse_experiment
from p5core.plugins.discovery import load_plugins
from p5export.export import export_run
from p5export.runtime import OnnxRecommender

N_REQUESTS = 100_000 if os.environ.get("P5_WHOLE_CHAOS") else 4_000
N_CLIENTS = 8
ITEMS = 200
BAD = (
    b"",
    b"{",
    b'{"history": 5}',
    b'{"history": [[1]]}',
    b'{"history": [], "k": -1}',
    b"[" * 900,
    b"\xff\xfe",
    b"null",
)
GROWTH = 40 * 2**20
"""Bytes by which memory may grow after the first tenth of the requests."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("soak")
    tree = {
        "data": {"name": "synthetic", "n_users": 80, "n_items": ITEMS, "n_events": 3_000, "n_clusters": 8},
        "model": {"width": 16, "max_length": 50, "backbone": {"name": "gru"}},
        "stages": [{"epochs": 1}],
        "evaluate": {"resamples": 0},
    }
    registry = load_plugins()
    run = p5core.run(parse_experiment(tree), place, "run", registry)
    return export_run(run, place / "export", registry, say=lambda text: None).folder


def test_a_soaked_server_keeps_answering_in_flat_memory(folder: Path) -> None:
    model = OnnxRecommender(folder)
    known = [one.item for one in model.recommend([], ITEMS)]
    expected = {n: [one.item for one in model.recommend(known[:n], 10)] for n in range(1, 41)}
    with serving(folder) as server, slow_clients(server):
        asked(server, N_REQUESTS // 10, 0, known, expected)
        before = memory(server)
        counted = asked(server, N_REQUESTS - N_REQUESTS // 10, 1, known, expected)
        grown = memory(server) - before
        health = server.client.get("/health").json()
        assert counted.total() == N_REQUESTS - N_REQUESTS // 10
        assert set(counted) <= {"right", "refused", "busy"}, counted
        assert counted["right"] > 0.7 * counted.total()
        assert grown < GROWTH, f"{grown / 2**20:.0f} MB"
        assert health["state"] == "ready"
        assert server.stop()[0] == 0


def memory(server: Server) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def asked(
    server: Server, n: int, seed: int, known: list[str | int], expected: dict[int, list[str | int]]
) -> Counter[str]:
    """What became of `n` requests of several clients."""

    def client(nth: int) -> Counter[str]:
        draws, counted = random.Random(f"{seed} {nth}"), Counter[str]()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as one:
            for _ in range(n // N_CLIENTS + (nth < n % N_CLIENTS)):
                counted[answer_of(one, draws, known, expected)] += 1
        return counted

    with ThreadPoolExecutor(N_CLIENTS) as pool:
        return sum(pool.map(client, range(N_CLIENTS)), Counter[str]())


def answer_of(
    client: httpx.Client, draws: random.Random, known: list[str | int], expected: dict[int, list[str | int]]
) -> str:
    """ "right", "refused" as it must be, "busy", or what is wrong."""
    kind = draws.random()
    if kind < 0.1:
        answer = client.post("/recommend", content=draws.choice(BAD), headers={"content-type": "application/json"})
        return "refused" if answer.status_code in (400, 413, 422) else f"bad body: {answer.status_code}"
    if kind < 0.7:
        n = draws.randrange(1, 41)
        k = draws.randrange(1, 11)
        answer = client.post("/recommend", json={"history": known[:n], "k": k})
        wanted = expected[n][:k]
        found = [one["item"] for one in answer.json()["items"]] if answer.status_code == 200 else []
    else:
        n = draws.randrange(0, 60)
        candidates = draws.sample(known, draws.randrange(0, 30))
        answer = client.post("/score", json={"history": draws.choices(known, k=n), "candidates": candidates})
        wanted = [len(candidates)]
        found = [len(answer.json()["scores"])] if answer.status_code == 200 else []
    if answer.status_code == 503:
        return "busy"
    return "right" if answer.status_code == 200 and found == wanted else f"{answer.status_code}: {found} {wanted}"


@contextmanager
def slow_clients(server: Server) -> Iterator[None]:
    """Fifty connections that say nothing and fifty that stop in a body."""
    begun = b"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(100)]
    for client in clients[:50]:
        client.sendall(begun)
    try:
        yield
    finally:
        for client in clients:
            client.close()
