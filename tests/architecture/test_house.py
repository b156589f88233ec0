"""What lies where, and what the documents promise."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from p5core import errors
from p5core.plugins import hookspecs
from p5core.plugins.kinds import KINDS

ROOT = Path(__file__).parents[2]
HOOKS = [name for name in hookspecs.__all__ if name.startswith("p5_")]
PACKAGES = {"p5core": "p5core", "p5plugins": "plugins/p5plugins", "p5export": "export/p5export", "p5ui": "ui/p5ui"}


def test_the_rooms_of_the_house() -> None:
    assert [path.parent.name for path in ROOT.glob("*/__init__.py")] == ["p5core"]
    files = {path.name for path in ROOT.iterdir() if path.is_file()}
    assert files >= {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "constraints.txt"}


@pytest.mark.parametrize("folder", ["plugins", "export", "ui", "tests"])
def test_folders_that_hold_packages_are_none(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
    if folder == "tests":
        packages = [one for one in (ROOT / folder).rglob("__init__.py") if "third_party" not in one.parts]
        assert packages == []
    else:
        assert [path.parent.name for path in (ROOT / folder).glob("*/__init__.py")] == [f"p5{folder}"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield archive


def test_a_wheel_holds_the_four_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    for package, folder in PACKAGES.items():
        assert f"{package}/py.typed" in names
        sources = {f"{package}/{path.relative_to(ROOT / folder)}" for path in (ROOT / folder).rglob("*.py")}
        assert {name for name in names if name.startswith(f"{package}/") and name.endswith(".py")} == sources


def test_a_wheel_brings_the_command_and_the_plugin(wheel: zipfile.ZipFile) -> None:
    name = next(one for one in wheel.namelist() if one.endswith("entry_points.txt"))
    entries = wheel.read(name).decode()
    assert "[console_scripts]\np5 = p5core.cli:main" in entries
    assert "[p5]\nbuiltin = p5plugins" in entries
    assert "[pytest11]\np5 = p5core.testing.plugin" in entries
    assert any(one.endswith("licenses/LICENSE") for one in wheel.namelist())


def drawn(base: type[Exception], indent: str = "") -> Iterator[str]:
    """The subclasses of an error as the tree of the module's docstring draws them."""
    below = [one for one in vars(errors).values() if isinstance(one, type) and base in one.__bases__]
    for one in below:
        is_last = one is below[-1]
        yield f"{indent}{'└──' if is_last else '├──'} {one.__name__}"
        yield from drawn(one, indent + ("    " if is_last else "│   "))


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    lines = (errors.__doc__ or "").splitlines()
    tree = [match[0] for line in lines if (match := re.match(r"[│ ]*[├└]── \w+", line))]
    assert tree == list(drawn(errors.P5Error))


def test_every_hook_is_specified_and_documented() -> None:
    assert {kind.hook for kind in KINDS.values()} | {"p5_commands"} == set(HOOKS)
    guide = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for hook in HOOKS:
        assert (getattr(hookspecs, hook).__doc__ or "").strip(), f"{hook} has no docstring"
        assert f"`{hook}`" in guide, f"docs/plugins.md does not name {hook}"


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}, which is not there"


def test_every_constraint_is_a_full_pin() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pins if not line.startswith("#"))
    assert "torch==2.13.0" in pins
