"""`p5 serve` as its clients see it: real servers, real connections."""

from __future__ import annotations

import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner
from servers import Server, serving

import p5core
from p5core.config.document import parse_experiment
from p5core.errors import ExportError
from p5core.plugins.discovery import load_plugins
from p5export.bundle.bundle import zip_folder
from p5export.cli.serve import serve
from p5export.export import export_run
from p5export.graph.serving import ExportOptions
from p5export.runtime import OnnxRecommender

REGISTRY = load_plugins()
LARGE = [2**53 - 1, 2**53, 2**60 + 1, -(2**60) - 1]
SMALL = list(range(1, 21))


def exported(folder: Path, data: dict[str, Any], backbone: str, task: str) -> Path:
    tree = {
        "data": data,
        "prepare": {"min_user_events": 1},
        "model": {"width": 8, "max_length": 10, "backbone": {"name": backbone}},
        "stages": [{"tasks": [{"name": task}], "epochs": 1}],
        "evaluate": {"resamples": 10},
    }
    run = p5core.run(parse_experiment(tree), folder, "run", REGISTRY)
    return export_run(run, folder / "export", REGISTRY, ExportOptions(metadata=["title"]), lambda text: None).folder


def synthetic(id_kind: str) -> dict[str, Any]:
    return {"name": "synthetic", "n_users": 50, "n_items": 40, "n_events": 500, "n_clusters": 8, "ratings": True,
            "id_kind": id_kind}  # fmt: skip


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of histories with text ids."""
    return exported(tmp_path_factory.mktemp("texts"), synthetic("string"), "gru", "next_item")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of histories with integer ids, some of which no double holds."""
    ids = [*LARGE, *SMALL]
    users = [user for user in range(30) for _ in range(10)]
    data = {
        "name": "dataframe",
        "interactions": pd.DataFrame({"user": users, "item": [ids[(7 * row) % 24] for row in range(300)],
                                      "timestamp": range(300)}),
        "items": pd.DataFrame({"item": ids, "title": [f"Title {one}" for one in ids]}),
    }  # fmt: skip
    return exported(tmp_path_factory.mktemp("numbers"), data, "mlp", "next_item")


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of users that predicts ratings."""
    return exported(tmp_path_factory.mktemp("users"), synthetic("int64"), "mf", "rating")


@pytest.fixture(scope="module")
def of_texts(texts: Path) -> Iterator[Server]:
    with serving(texts) as server:
        yield server


@pytest.fixture(scope="module")
def of_numbers(numbers: Path) -> Iterator[Server]:
    with serving(numbers, "--allow-host", "shop.example", "--max-requests", 3, "--timeout", 3, "--max-body", 4000,
                 "--max-k", 20, "--max-history", 5, "--max-candidates", 5) as server:  # fmt: skip
        yield server


@pytest.fixture(scope="module")
def of_users(users: Path) -> Iterator[Server]:
    with serving(users) as server:
        yield server


def items(response: httpx.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    return [one["item"] for one in response.json()["items"]]


def test_answers_are_those_of_the_recommender(of_texts: Server, texts: Path) -> None:
    model = OnnxRecommender(texts, threads=1)
    known = [one.item for one in model.recommend([], 6)]
    for history in (known, known[:1], [], ["unheard of", "日本", "\x00", ""]):
        found = of_texts.post("/recommend", {"history": history, "k": 7}).json()["items"]
        wanted = model.recommend(history, 7)
        assert [(one["item"], one["metadata"]) for one in found] == [(one.item, one.metadata) for one in wanted]
        assert [one["score"] for one in found] == pytest.approx([one.score for one in wanted], rel=1e-5)
    assert len(items(of_texts.post("/recommend", {"history": known}))) == 10
    assert items(of_texts.post("/recommend", {"history": known, "k": 0})) == []
    assert len(items(of_texts.post("/recommend", {"history": known, "k": 1000}))) == 34
    scored = of_texts.post("/score", {"history": known, "candidates": [*known[:3], "unheard of"]}).json()
    assert scored["scores"] == [*(pytest.approx(one, rel=1e-5) for one in model.score(known, known[:3])), None]
    assert scored["ratings"] is None
    assert of_texts.post("/score", {"history": known, "candidates": []}).json()["scores"] == []


def test_health_says_what_runs(of_texts: Server, texts: Path) -> None:
    manifest = OnnxRecommender(texts).bundle.manifest
    found = of_texts.client.get("/health").json()
    assert found["state"] == "ready"
    assert (found["model"], found["n_items"], found["takes"], found["id_kind"]) == ("run", 40, "history", "string")
    assert found["sha256"] == manifest["files"]["model.onnx"]
    assert found["open"] == 0


def test_fifty_clients_at_once_get_their_own_answers_from_few_calls(of_texts: Server, texts: Path) -> None:
    model = OnnxRecommender(texts, threads=1)
    popular = [str(one.item) for one in model.recommend([], 30)]
    asked = [(popular[n % 30 : n % 30 + n % 11], 1 + n % 13) for n in range(400)]
    wanted = [[one.item for one in model.recommend(history, k)] for history, k in asked]
    scores = [model.score(history, popular[: 1 + n % 7]) for n, (history, _) in enumerate(asked)]
    before = of_texts.client.get("/health").json()

    def ask(n: int) -> tuple[list[Any], list[float]]:
        history, k = asked[n]
        found = items(of_texts.post("/recommend", {"history": history, "k": k}))
        return found, of_texts.post("/score", {"history": history, "candidates": popular[: 1 + n % 7]}).json()["scores"]

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(ask, range(400)))
    assert [one for one, _ in found] == wanted
    for (_, got), expected in zip(found, scores, strict=True):
        assert got == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-5)
    after = of_texts.client.get("/health").json()
    assert after["requests"] - before["requests"] == 800
    assert after["calls"] - before["calls"] < 800
    assert after["largest_call"] > 1


def test_large_integers_keep_their_digits(of_numbers: Server, numbers: Path) -> None:
    model = OnnxRecommender(numbers, threads=1)
    wanted = [one.item for one in model.recommend([1, 2**60 + 1], 20)]
    for history in ([1, 2**60 + 1], ["1", str(2**60 + 1)], ["+1", "1152921504606846977"]):
        found = items(of_numbers.post("/recommend", {"history": history, "k": 20}))
        assert found == [str(one) if abs(one) >= 2**53 else one for one in map(int, wanted)]
    assert 2**53 - 1 in found
    assert str(2**53) in found
    scores = [of_numbers.post("/score", {"history": [1], "candidates": [one, str(one)]}).json()["scores"]
              for one in LARGE]  # fmt: skip
    assert all(first == second is not None for first, second in scores)


def test_a_model_of_users_is_asked_by_user(of_users: Server, users: Path) -> None:
    model = OnnxRecommender(users, threads=1)
    wanted = [one.item for one in model.recommend(-5, 4)]
    assert items(of_users.post("/recommend", {"user": -5, "k": 4})) == wanted
    assert items(of_users.post("/recommend", {"user": "-5", "k": 4})) == wanted
    found = of_users.post("/score", {"user": -5, "candidates": [*wanted, 10**15]}).json()
    assert found["ratings"] == pytest.approx(model.ratings(-5, [*map(int, wanted), 10**15]).tolist(), rel=1e-5)
    assert found["scores"][-1] is None
    for body in ({"history": [1]}, {"user": 1, "history": [1]}, {}):
        refused = of_users.post("/recommend", body)
        assert refused.status_code == 422
        assert refused.json()["detail"] == (
            "This model knows users and reads no history. Give 'user', and no 'history'."
        )


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/recommend", '{"history": [1.5]}', "history[0]: 1.5 is no id; an id is a text or a whole number."),
        ("/recommend", '{"history": [1, true]}', "history[1]: true is no id"),
        ("/recommend", '{"history": [1, null]}', "history[1]: null is no id"),
        ("/recommend", '{"history": ["\\ud800"]}', "holds half a character (a lone surrogate), which no id does."),
        ("/recommend", '{"history": "abc"}', "history: Input should be a valid list."),
        ("/recommend", '{"user": 3}', "This model reads histories and knows no users. Give 'history', and no 'user'."),
        ("/recommend", "{}", "This model reads histories and knows no users."),
        ("/recommend", '{"history": [], "k": -1}', "k: Input should be greater than or equal to 0."),
        ("/recommend", '{"history": [], "k": "3"}', 'k: "3" is no whole number.'),
        ("/recommend", '{"history": [], "n": 3}', "n: Extra inputs are not permitted."),
        ("/recommend", '{"history": [], "k": 21}', "k: 21 is more than this server allows (20)."),
        ("/recommend", '{"history": [1,2,3,4,5,6]}', "history: 6 items is more than this server allows (5)."),
        ("/recommend", '{"history": ["a"]}', "The ids of this model are 64-bit integers; got 'a'."),
        ("/recommend", f'{{"history": ["{"é" * 99}"]}}', "got '" + "é" * 59 + "…."),
        ("/recommend", f'{{"history": [{2**63}]}}', "The ids of this model are 64-bit integers; got 9223372036854775"),
        ("/score", '{"history": [1]}', "candidates: Field required."),
        ("/score", '{"history": [], "candidates": [1,2,3,4,5,6]}', "candidates: 6 items is more than this server"),
        ("/score", "[1]", "The body is no JSON object with Content-Type: application/json"),
        ("/score", "{oops", "The body is no JSON: "),
        ("/score", "", "The body is no JSON object with Content-Type: application/json"),
    ],
)  # fmt: skip
def test_wrong_bodies_get_a_sentence(of_numbers: Server, path: str, body: str, detail: str) -> None:
    response = of_numbers.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    assert detail in response.json()["detail"]


def test_large_bodies_are_refused_with_and_without_a_length(of_numbers: Server) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * 1000

    for content in (b" " * 4001, pieces()):
        response = of_numbers.client.post("/score", content=content)
        assert response.status_code == 413
        assert response.json()["detail"] == "The request is larger than 4,000 bytes."
    fitting = b'{"history": [], "candidates": []}'.ljust(4000)
    assert of_numbers.client.post("/score", content=fitting, headers={"Content-Type": "application/json"}).is_success


def half_a_request(server: Server) -> socket.socket:
    """A connection whose body does not come."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=15)
    connection.sendall(
        b"POST /recommend HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: 15\r\n\r\n{"
    )
    return connection


def answer_at(connection: socket.socket) -> str:
    """Head and body, which may come in pieces."""
    with connection, connection.makefile("rb") as stream:
        return b"".join(iter(lambda: stream.read1(9999), b"")).decode()


def wait_for_reading(server: Server, n: int) -> None:
    until = time.monotonic() + 10
    while server.client.get("/health").json()["reading"] != n:
        assert time.monotonic() < until
        time.sleep(0.01)


def listens(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def test_slow_requests_are_told_to_go_and_hold_no_place(of_numbers: Server) -> None:
    slow = [half_a_request(of_numbers) for _ in range(6)]  # twice as many as may be answered at once
    wait_for_reading(of_numbers, 6)
    assert of_numbers.post("/recommend", {"history": []}).is_success
    for one in slow:
        answer = answer_at(one)
        assert re.search(r"408.*The request did not arrive within 3 seconds\.", answer, re.DOTALL)
    assert of_numbers.post("/recommend", {"history": []}).is_success


def test_a_client_that_goes_away_is_forgotten(of_numbers: Server) -> None:
    half_a_request(of_numbers).close()
    wait_for_reading(of_numbers, 0)
    assert of_numbers.post("/recommend", {"history": []}).is_success


def test_only_known_names_are_answered_and_no_other_origin(of_numbers: Server, of_texts: Server) -> None:
    for name, status in {"evil.example": 400, "localhost": 200, "localhost:99": 200, "[::1]": 200, "shop.example": 200,
                         "127.0.0.1.evil.example": 400, "": 400}.items():  # fmt: skip
        for path in ("/health", "/docs", "/openapi.json"):
            assert of_numbers.client.get(path, headers={"Host": name}).status_code == status, name
    assert of_texts.post("/recommend", {"history": []}, headers={"Host": "shop.example"}).status_code == 400
    origin = {"Origin": "http://evil.example"}
    answered = of_texts.post("/recommend", {"history": []}, headers=origin)
    asked = of_texts.client.options("/recommend", headers={**origin, "Access-Control-Request-Method": "POST"})
    assert not any(name.startswith("access-control") for name in (*answered.headers, *asked.headers))
    assert asked.status_code == 405


def test_the_page_loads_nothing_from_elsewhere(of_texts: Server) -> None:
    page = of_texts.client.get("/docs")
    assert page.is_success
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 2
    assert all(one.startswith("/") and of_texts.client.get(one).is_success for one in loaded)
    assert "http" not in page.text
    assert '"validatorUrl": null' in page.text
    schema = of_texts.client.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/recommend", "/score", "/health"}
    assert {"413", "422", "503"} <= set(schema["paths"]["/score"]["post"]["responses"])
    assert "2^53" in schema["info"]["description"]


@pytest.mark.parametrize(
    "path", ["/static-offline-docs/../../../p5.json", "/p5.json", "/static-offline-docs//etc/passwd"]
)
def test_no_file_can_be_had(of_texts: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", of_texts.port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(99).startswith(b"HTTP/1.1 404")


def test_a_zip_is_served_and_sigterm_lets_the_last_request_end(texts: Path, tmp_path: Path) -> None:
    zip_folder(texts, tmp_path / "export.zip")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with serving(tmp_path / "export.zip", TMPDIR=str(scratch)) as server:
        assert "http://127.0.0.1:" in server.greeting
        assert server.post("/recommend", {"history": []}).is_success
        assert list(scratch.glob("p5-*")) == []  # it was unpacked, loaded and removed
        last = half_a_request(server)
        wait_for_reading(server, 1)
        server.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 10
        while listens(server):
            assert time.monotonic() < until
            time.sleep(0.05)
        last.sendall(b'"history": []}')
        assert last.recv(9999).startswith(b"HTTP/1.1 200")
        last.close()
        assert server.process.wait(15) == 0
        assert list(scratch.glob("p5-*")) == []


def test_ctrl_c_ends_it_in_a_sentence(texts: Path) -> None:
    with serving(texts) as server:
        assert server.stop(signal.SIGINT) == (130, "Stopped.\n")


def test_an_address_that_is_taken_and_a_damaged_export_are_refused(
    of_texts: Server, texts: Path, tmp_path: Path
) -> None:
    def error(*arguments: object) -> BaseException:
        found = CliRunner().invoke(serve, [str(one) for one in arguments]).exception
        assert isinstance(found, ExportError)
        return found

    assert str(error(texts, "--port", of_texts.port)).startswith(f"Cannot listen at 127.0.0.1, port {of_texts.port}: ")
    assert "Cannot listen at no.such.host.invalid" in str(error(texts, "--host", "no.such.host.invalid"))
    assert "is no exported model" in str(error(tmp_path, "--port", 0))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_missing_extra_is_named(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found = CliRunner().invoke(serve, [str(texts)]).exception
    assert isinstance(found, ExportError)
    assert str(found) == "'p5 serve' needs the package uvicorn, which is not installed. Run: pip install 'p5rec[serve]'"
