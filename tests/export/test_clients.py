"""Exports in other languages: Node, and a page in a real browser, against the golden cases and against Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import p5core
from p5core.plugins import Registry
from p5export.card import node_call
from p5export.export import export_run
from p5export.runtime import OnnxRecommender
from p5export.serving import ExportOptions

CLIENTS = Path(__file__).parents[2] / "export" / "clients"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def tool(*names: str) -> str:
    """Path of the first tool there is; without any, a skip that says why, and a failure where CI is set."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        reason = f"{' or '.join(names)} is not installed"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return str(found)


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(one) for one in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(client: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the clients with the packages of one of them."""
    tool("node")
    folder = tmp_path_factory.mktemp("clients") / "clients"
    shutil.copytree(CLIENTS, folder, ignore=shutil.ignore_patterns("node_modules", "site"))
    run(tool("npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder / client)
    return folder / client


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("node", tmp_path_factory)


@pytest.fixture(scope="module")
def texts(run: p5core.Run, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with odd text ids and titles."""
    options = ExportOptions(metadata=["title"])
    return export_run(run, tmp_path_factory.mktemp("texts") / "it's", registry, options, lambda text: None).folder


@pytest.fixture(scope="module")
def numbers(experiment_of: Any, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a model of users whose item ids no double can hold, with ratings."""
    folder = tmp_path_factory.mktemp("numbers")
    made = p5core.run(experiment_of("mf", [{"name": "id"}], "rating", as_text=False), folder, "run", registry)
    return export_run(made, folder / "export", registry, say=lambda text: None).folder


def node_answers(node: Path, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(run(tool("node"), "recommend.mjs", folder, *arguments, cwd=node)))


def test_node_gives_the_golden_answers(node: Path, texts: Path, numbers: Path) -> None:
    for folder in (texts, numbers):
        assert "24 golden cases give the same answers" in run(tool("node"), "verify.mjs", folder, cwd=node)


def test_node_notices_a_wrong_answer(node: Path, texts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(texts, tmp_path / "copy")
    golden = json.loads((folder / "golden.json").read_text())
    golden["model.onnx"][2]["outputs"]["scores"][0][0] += 0.01
    (folder / "golden.json").write_text(json.dumps(golden))
    done = subprocess.run(
        [tool("node"), "verify.mjs", str(folder)], cwd=node, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "model.onnx, case 2: scores[0] is" in done.stderr


def test_node_answers_as_python(node: Path, texts: Path, numbers: Path, ids: list[str]) -> None:
    python = OnnxRecommender(texts)
    for history in (ids[:3], ids[5:6], [], ["unheard of", ids[0]]):
        found = node_answers(node, texts, *history, "--k", "4")
        wanted = python.recommend(history, 4)
        assert [one["item"] for one in found] == [one.item for one in wanted]
        assert [one["title"] for one in found] == [one.metadata["title"] for one in wanted]
        assert [one["score"] for one in found] == pytest.approx([one.score for one in wanted], rel=1e-4, abs=1e-5)
    wanted = OnnxRecommender(numbers).recommend(7, 4)
    assert [int(one["item"]) for one in node_answers(node, numbers, "7", "--k", "4")] == [one.item for one in wanted]


def test_the_three_lines_for_node_work_as_they_are_printed(node: Path, texts: Path, numbers: Path) -> None:
    for folder in (texts, numbers):
        call = node_call(json.loads((folder / "p5.json").read_text()), str(folder / "model.onnx"))
        assert call.count("\n") == 2
        (node / "call.cjs").write_text(call)
        assert len(run(tool("node"), "call.cjs", cwd=node).split(",")) >= 4


@pytest.fixture(scope="module")
def site(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the page, served as files."""
    browser = installed("browser", tmp_path_factory)
    run(tool("node"), "build.mjs", texts, browser / "site", cwd=browser)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(browser / "site")))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Visit:
    """The page in a browser, with everything it says and asks for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def titles(self, place: str) -> list[str]:
        return [one.split("\n")[0].removesuffix(" ×") for one in self.page.locator(f"#{place} li").all_inner_texts()]


@pytest.fixture(scope="module")
def visit() -> Iterator[Visit]:
    path = tool(*CHROMIUM)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield Visit(browser.new_page(viewport={"width": 390, "height": 800}))
        browser.close()


def test_the_page_gives_the_golden_answers_and_recommends_without_sending_anything(
    visit: Visit, site: str, texts: Path, ids: list[str]
) -> None:
    page, python = visit.page, OnnxRecommender(texts)
    page.goto(f"{site}?verify")
    page.wait_for_selector("body[data-verified], body[data-failed]", timeout=60_000)
    assert page.get_attribute("body", "data-failed") is None
    assert page.get_attribute("body", "data-verified") == "24"
    assert visit.titles("found") == [one.metadata["title"] for one in python.recommend([], 10)]
    loaded = len(visit.asked)

    page.fill("#search", "title 1")  # Title 1, Title 10, Title 11, in order of popularity
    matches = page.locator("#matches li").all_inner_texts()
    assert sorted(matches) == ["Title 1", "Title 10", "Title 11"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=From 1 item you like")
    first = ids[int(matches[1].split()[1])]
    assert visit.titles("found") == [one.metadata["title"] for one in python.recommend([first], 10)]

    second = visit.titles("found")[0]
    page.click("#found button >> nth=0")
    page.wait_for_selector("text=From 2 items you like")
    history = [first, ids[int(second.split()[1])]]
    assert visit.titles("liked") == [matches[1], second]
    assert visit.titles("found") == [one.metadata["title"] for one in python.recommend(history, 10)]

    page.click(f"button[aria-label='Remove {second}']")
    page.wait_for_selector("text=From 1 item you like")
    assert visit.titles("liked") == [matches[1]]

    assert visit.asked[loaded:] == []
    assert all(url.startswith(site) for url in visit.asked)
    assert visit.said == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
