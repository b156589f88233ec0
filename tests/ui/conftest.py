"""The interface as a browser sees it: one running app over a folder with a finished run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from p5core import pipeline
from p5core.experiment import parse_experiment
from p5core.plugins import load_plugins
from p5ui.studio import Studio

SHOTS = Path(__file__).parent / "shots"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SMALL = """
[data]
name = "synthetic"
n_users = 60
n_items = 40
n_events = 900
n_clusters = 8

[model]
width = 8
max_length = 12
backbone = { name = "gpt", n_layers = 1 }

[[stages]]
tasks = [{ name = "next_item" }]
epochs = 2

[evaluate]
resamples = 10
"""


@dataclass(frozen=True)
class Running:
    """An interface that answers."""

    address: str
    studio: Studio


@pytest.fixture(scope="session")
def small() -> str:
    """An experiment of seconds."""
    return SMALL


@pytest.fixture(scope="session")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The interface over a folder whose only run is called `first`; tests that write use names of their own."""
    studio = Studio(tmp_path_factory.mktemp("studio"), load_plugins())
    pipeline.run(parse_experiment(tomllib.loads(SMALL), "small"), studio.runs, "first", studio.registry)
    command = [sys.executable, "-m", "p5core.cli", "ui", "--folder", str(studio.folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        yield Running(re.findall(r"http://[\d.:]+", said)[0], studio)
        process.terminate()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab 1280 px wide; the test fails when the console shows an error."""
    faults: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(message.text)

    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en")
    tab = context.new_page()
    tab.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
    tab.on("console", listen)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    yield tab
    context.close()
    assert faults == []


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    """Keep pictures of a page, at desktop and phone width, light and dark; nothing may be wider than the window."""

    def keep(page: Page, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            for width in (390, 1280):  # plots take the colours of the theme when they are drawn anew for a width
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(400)
                wide = page.evaluate("document.documentElement.scrollWidth")
                page.screenshot(path=SHOTS / f"{name}-{width}-{theme}.png", full_page=True)
                assert wide <= width, f"{name} is {wide} px wide in a window of {width} px"
        page.emulate_media(color_scheme="light")

    return keep
