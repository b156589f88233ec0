"""The browser that opens by itself, and when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5core.system.files import write_json
from p5ui.server.browser import open_browser

ADDRESS = "http://127.0.0.1:7860/"


class Window(webbrowser.BaseBrowser):
    """A browser that only remembers."""

    def __init__(self) -> None:
        super().__init__("window")
        self.opened: list[str] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.opened.append(url)
        return True


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Window:
    """What a person at a desktop has, in a terminal."""
    found = Window()
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(webbrowser, "get", lambda: found)
    return found


def test_a_person_at_a_desktop_sees_the_page(window: Window) -> None:
    assert open_browser(ADDRESS) is True
    assert window.opened == [ADDRESS]


def test_nothing_opens_where_nobody_looks(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert open_browser(ADDRESS) is False
    monkeypatch.delenv("CI")
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert open_browser(ADDRESS) is False
    assert window.opened == []


def test_nothing_opens_without_a_window(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser.GenericBrowser, "open", Window.open)
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))
    assert open_browser(ADDRESS) is False
    monkeypatch.setattr(webbrowser, "get", none)
    assert open_browser(ADDRESS) is False
    assert window.opened == []


@pytest.mark.parametrize(
    ("options", "opens"),
    [
        ([], True),
        (["--no-browser"], False),
        (["--demo", "--no-browser"], False),
        (["--host", "0.0.0.0", "--auth", "ali"], False),
    ],
)
def test_when_the_command_opens_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], opens: bool
) -> None:
    given: list[Any] = []
    monkeypatch.setenv("P5_UI_PASSWORD", "open sesame")
    monkeypatch.setattr("p5ui.server.launch.launch", lambda *arguments: given.append(arguments[-1]))
    found = CliRunner().invoke(build(load_plugins()), ["ui", "--folder", str(tmp_path), *options])
    assert found.exit_code == 0, found.output
    assert given == [open_browser if opens else None]


def test_the_demo_opens_in_the_browser_that_somebody_chose(tmp_path: Path) -> None:
    """In a terminal, with a command of its own as the browser."""
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    write_json(tmp_path / "runs" / "demo" / "run.json", {"format": 1})
    note = tmp_path / "opened"
    remember = f"{sys.executable} -c \"import sys; open('{note}', 'w').write(sys.argv[1])\" %s &"
    known = {name: value for name, value in os.environ.items() if name != "CI"} | {"BROWSER": remember}
    command = [sys.executable, "-m", "p5core.cli", "ui", "--folder", str(tmp_path), "--port", "0", "--demo"]
    ours, theirs = os.openpty()
    with os.fdopen(ours) as terminal, subprocess.Popen(command, stdout=theirs, env=known) as process:
        said = terminal.readline()
        while not note.exists() or not note.read_text():
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        os.close(theirs)
    assert note.read_text() in said
    assert note.read_text().endswith("/runs?run=demo")
