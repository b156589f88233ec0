"""The example of docs/plugins.md is a plugin that works."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from p5core.config.base import PartSpec
from p5core.plugins.discovery import load_plugins
from p5core.testing import check_part

GUIDE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")


def block(opening: str) -> str:
    """The first code block that begins with a text."""
    return next(code for code in re.findall(r"```\w+\n(.*?)```", GUIDE, re.DOTALL) if code.startswith(opening))


@pytest.fixture
def _average(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    project = tomllib.loads(block("[build-system]"))["project"]
    info = tmp_path / "p5_average-0.1.0.dist-info"
    package = tmp_path / "p5_average"
    info.mkdir()
    package.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = "".join(f"{name} = {module}\n" for name, module in project["entry-points"]["p5"].items())
    (info / "entry_points.txt").write_text(f"[p5]\n{entries}")
    (package / "__init__.py").write_text(block("from p5core import hookimpl"))
    (package / "backbone.py").write_text(block("from torch import nn"))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("p5_average")]:
        del sys.modules[name]


@pytest.mark.usefixtures("_average")
def test_the_example_is_found_with_its_options() -> None:
    registry = load_plugins()
    spec = PartSpec.model_validate(tomllib.loads(block("[model]"))["model"]["backbone"])
    backbone = registry.choose("backbone", spec).build(8, 5)
    assert backbone.layer.bias is None
    info = registry.parts("backbone")["average"]
    assert (info.plugin.distribution, info.plugin.version) == ("p5-average", "0.1.0")


@pytest.mark.usefixtures("_average")
def test_the_example_passes_its_own_test() -> None:
    assert 'check_part(load_plugins(), "backbone", "average")' in block("from p5core import load_plugins")
    check_part(load_plugins(), "backbone", "average")
