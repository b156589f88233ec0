"""Plugins as distributions on the path, for tests that install some."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5core.plugins.status import PluginStatus

__all__ = ["TRACKER", "Install", "hook", "install", "p5", "row", "status"]

Install = Callable[..., None]

TRACKER = """
    from p5core.config.base import Config
    from p5core.plugins.hookspecs import hookimpl
    from p5core.contracts.tracker import Tracker

    class Options(Config):
        size: int = 3
        '''How much.'''

    class Wave(Tracker):
        '''Draws waves.'''

        name = "wave"
        Config = Options

        def log(self, event):
            return None

    @hookimpl
    def p5_trackers():
        return [Wave]
"""

HOOK = """
    from p5core.plugins.hookspecs import hookimpl

    @hookimpl
    def {hook}({arguments}):
        {body}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with one module and one entry point on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def put(module: str, source: str, entry: str | None = None, distribution: str | None = None) -> None:
        name = distribution or module.replace("_", "-")
        info = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[p5]\n{entry or module} = {module}\n")
        (tmp_path / f"{module}.py").write_text(dedent(source))
        modules.append(module)

    yield put
    for module in modules:
        sys.modules.pop(module, None)


def hook(name: str, body: str, arguments: str = "") -> str:
    return dedent(HOOK).format(hook=name, body=body, arguments=arguments)


def status(name: str) -> PluginStatus:
    return next(plugin for plugin in load_plugins().plugins if plugin.name == name)


def p5(*arguments: str) -> Result:
    return CliRunner().invoke(build(load_plugins()), arguments)


def row(shown: Result, word: str) -> list[str]:
    """The cells of the first row of a printed table that has a word."""
    line = next(line for line in shown.stdout.splitlines() if "│" in line and word in line)
    return [cell.strip() for cell in line.split("│")[1:-1]]
