"""An export in a page of a real browser, against the golden cases and against Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from clients import installed, run, tool
from p5export.runtime import OnnxRecommender

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("browser", tmp_path_factory)


@pytest.fixture(scope="module")
def site(browser_client: Path, texts: Path, whole: Path) -> Iterator[str]:
    """Address of two pages, `texts/` and `whole/`, served as files."""
    for name, folder in (("texts", texts), ("whole", whole)):
        run(tool("node"), "build.mjs", folder, browser_client / "site" / name, cwd=browser_client)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(browser_client / "site")))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Visit:
    """A page in a browser, with everything it says and asks for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, address: str) -> None:
        """Wait for what `?verify` gives."""
        self.page.goto(f"{address}?verify")
        self.page.wait_for_selector("body[data-verified], body[data-failed]", timeout=60_000)

    def titles(self, place: str) -> list[str]:
        return [one.split("\n")[0].removesuffix(" ×") for one in self.page.locator(f"#{place} li").all_inner_texts()]

    def named(self, role: str, name: str) -> Any:
        """The one element that assistive technology knows by this role and name."""
        return self.page.get_by_role(role, name=name, exact=True)

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.id"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = tool(*CHROMIUM)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """A narrow page, as on a phone."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    yield Visit(context.new_page())
    context.close()


def test_the_page_gives_the_golden_answers_and_recommends_without_sending_anything(
    visit: Visit, site: str, texts: Path, ids: list[str]
) -> None:
    page, python = visit.page, OnnxRecommender(texts)
    visit.open(f"{site}texts/")
    assert page.get_attribute("body", "data-failed") is None
    assert page.get_attribute("body", "data-verified") == "24"
    assert visit.titles("found") == [one.metadata["title"] for one in python.recommend([], 10)]
    loaded = len(visit.asked)

    visit.named("combobox", "Find something you like").fill("tïtle 1")  # Title 1, Title 10, Title 11 by popularity
    matches = page.get_by_role("option").all_inner_texts()
    assert sorted(matches) == ["Title 1", "Title 10", "Title 11"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=From 1 item you like")
    first = ids[int(matches[1].split()[1])]
    assert visit.titles("found") == [one.metadata["title"] for one in python.recommend([first], 10)]

    second = visit.titles("found")[0]
    visit.named("button", f"I like {second}").dblclick()  # the second click would hit the next item
    page.wait_for_selector("text=From 2 items you like")
    history = [first, ids[int(second.split()[1])]]
    assert visit.titles("liked") == [matches[1], second]
    assert visit.titles("found") == [one.metadata["title"] for one in python.recommend(history, 10)]

    visit.named("button", f"Remove {second}").click()
    page.wait_for_selector("text=From 1 item you like")
    assert visit.titles("liked") == [matches[1]]

    assert visit.asked[loaded:] == []
    assert all(url.startswith(site) for url in visit.asked)
    assert visit.said == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_page_works_from_the_keyboard_with_whole_ids_and_without_popular_items(
    visit: Visit, site: str, whole: Path
) -> None:
    page, python = visit.page, OnnxRecommender(whole)
    visit.open(f"{site}whole/")
    assert page.get_attribute("body", "data-verified") == "24"
    assert page.inner_text("#status") == "Pick something you like first."
    field = visit.named("combobox", "Find something you like")
    field.focus()
    page.keyboard.type("nothing like that")
    assert page.inner_text("#note") == "Nothing else has such a title."
    field.fill("title")
    assert page.get_by_role("option").count() == 8
    page.keyboard.press("Escape")
    assert page.get_by_role("option").count() == 0
    field.fill("title 11")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=From 1 item you like")
    assert visit.focused() == "search"
    history = [11 * 2**58 - 3]
    wanted = [one.metadata["title"] for one in python.recommend(history, 10)]
    assert visit.titles("found") == wanted

    visit.named("button", f"I like {wanted[2]}").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=From 2 items you like")
    assert visit.focused() == f"I like {visit.titles('found')[2]}"
    visit.named("button", "Remove Title 11").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=From 1 item you like")
    assert visit.focused() == f"Remove {wanted[2]}"
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Pick something you like first.")
    assert visit.focused() == "search"
    assert visit.said == []


def wrong_score(case: dict[str, Any]) -> str:
    case["outputs"]["scores"][0][0] += 0.01
    return r"scores\[0\] is"


def test_the_page_reports_a_wrong_answer(visit: Visit, site: str, texts: Path) -> None:
    golden = json.loads((texts / "golden.json").read_text())
    wrong_score(golden["score.onnx"][1])
    visit.page.route("**/golden.json", lambda route: route.fulfill(json=golden))
    visit.open(f"{site}texts/")
    assert "score.onnx, case 1: scores[0] is" in visit.page.get_attribute("body", "data-failed")
    assert visit.page.inner_text("#status").startswith("The model cannot be used: score.onnx, case 1")


def test_the_page_is_held_to_its_own_host(visit: Visit, site: str) -> None:
    visit.open(f"{site}texts/")
    elsewhere = site.replace("127.0.0.1", "localhost")
    assert visit.page.evaluate(f"fetch('{elsewhere}').then(() => 'sent', () => 'refused')") == "refused"
    assert any("Content Security Policy" in one for one in visit.said)


def test_what_a_browser_cannot_use_is_no_page(browser_client: Path, texts: Path, numbers: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    manifest = json.loads((texts / "p5.json").read_text())
    (large / "p5.json").write_text(json.dumps({**manifest, "files": {"model.onnx.data": ""}}))
    reasons = {numbers: "the model knows users and reads no history.", large: "the model is too large for a browser."}
    for folder, reason in reasons.items():
        done = subprocess.run(
            [tool("node"), "build.mjs", str(folder), str(tmp_path / "site")],
            cwd=browser_client, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"{folder} cannot be a page: {reason}" in done.stderr
    assert not (tmp_path / "site").exists()
