"""The interface as a browser sees it: one running app over a folder with a finished run."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from support import SMALL

from p5core.config.document import parse_experiment
from p5core.plugins.discovery import load_plugins
from p5core.workflows import train as pipeline
from p5export.export import export_run
from p5export.graph.serving import ExportOptions
from p5ui.workspace.workspace import Workspace

SHOTS = Path(__file__).parent / "shots"
PACKAGES = Path(__file__).parent / "packages"
PATIENCE = 20_000
"""Milliseconds; a busy machine is slow, not wrong."""

LEFT = ("AbortError", "Connection errored out.")
"""What gradio logs of a page that is left, or loaded again, before all answers are there."""

SETTLE = """() => new Promise(done => {
    const until = performance.now() + 2000;
    let last = performance.now();
    const watch = new MutationObserver(() => { last = performance.now(); });
    watch.observe(document.body, { attributes: true, childList: true, subtree: true });
    const look = () => {
        const now = performance.now();
        if (now - last < 150 && now < until) return requestAnimationFrame(look);
        watch.disconnect();
        done();
    };
    look();
})"""
"""Waits until plots are drawn for a new width and theme: nothing in the page has changed for a while."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Running:
    """An interface that answers."""

    address: str
    workspace: Workspace


@pytest.fixture(scope="session")
def small() -> str:
    """An experiment of seconds."""
    return SMALL


@pytest.fixture(scope="session")
def shop() -> str:
    """A log of 60 customers with a header of its own."""
    draw = random.Random(0)
    rows = [
        f"c{customer};{draw.randrange(20)};{1_700_000_000 + customer * 1_000 + place};{draw.randrange(1, 6)}"
        for customer in range(60)
        for place in range(draw.randrange(4, 15))
    ]
    return "\n".join(["customer_id;sku;event_time;stars", *rows])


@pytest.fixture(scope="session")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The interface over a folder whose only run is called `first`; tests that write use names of their own.

    Two plugins of third parties are installed, one of them broken. It answers MCP clients where they could ask.
    """
    workspace = Workspace(tmp_path_factory.mktemp("workspace"), load_plugins())
    options = ["--folder", str(workspace.folder), "--port", "0", *(["--mcp"] if find_spec("mcp") else [])]
    path = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-m", "p5core.cli", "ui", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        pipeline.run(parse_experiment(tomllib.loads(SMALL), "small"), workspace.runs, "first", workspace.registry)
        assert process.stdout is not None
        said = next(line for line in process.stdout if line.startswith("P5 works in"))
        yield Running(re.findall(r"http://[\d.:]+", said)[0], workspace)
        process.terminate()


@pytest.fixture(scope="session")
def script(ui: Running) -> Client:
    """What a script asks with."""
    return Client(ui.address, verbose=False)


@pytest.fixture(scope="session")
def exported(ui: Running) -> Path:
    """The export of the run `first`."""
    run = ui.workspace.run("first")
    folder = run.path / "export"
    export_run(run, folder, ui.workspace.registry, ExportOptions(), say=lambda text: None)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser, which loads scripts once; tests leave nothing in its storage."""
    expect.set_options(timeout=PATIENCE)
    with browser.new_context(locale="en") as context:
        context.set_default_timeout(PATIENCE)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """An empty tab 1280 px wide; the test fails when the console shows an error."""
    faults: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(one in message.text for one in LEFT):
            faults.append(f"{tab.url}: {message.text}")

    tab = context.new_page()
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.on("console", listen)
    tab.on("pageerror", lambda error: faults.append(f"{tab.url}: {error}"))
    yield tab
    if tab.url.startswith("http"):
        tab.evaluate("localStorage.clear()")
    tab.close()
    assert faults == []


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    """Keep pictures of a page: dark on a phone, light on a desk; nothing may be wider than the window."""

    def keep(page: Page, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        for width, theme in ((390, "dark"), (1280, "light")):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(SETTLE)
            wide = page.evaluate("document.documentElement.scrollWidth")
            page.screenshot(path=SHOTS / f"{name}-{width}-{theme}.png", full_page=True)
            assert wide <= width, f"{name} is {wide} px wide in a window of {width} px"

    return keep
