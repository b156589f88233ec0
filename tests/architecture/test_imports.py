"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TypeGuard

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "p5core": ROOT / "p5core",
    "p5plugins": ROOT / "plugins" / "p5plugins",
    "p5export": ROOT / "export" / "p5export",
    "p5ui": ROOT / "ui" / "p5ui",
}
MAY_IMPORT = {
    "p5core": {"p5core"},
    "p5plugins": {"p5plugins", "p5core"},
    "p5export": {"p5export", "p5core"},
    "p5ui": {"p5ui", "p5export", "p5core"},
}


@cache
def modules() -> dict[str, Path]:
    """Dotted name → file of every module of the four packages."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            steps = (package, *path.relative_to(folder).with_suffix("").parts)
            found[".".join(steps).removesuffix(".__init__")] = path
    return found


def is_type_checking(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(path: Path, deferred: bool) -> Iterator[str]:
    """Dotted names that a file imports, those for type checkers left out; inside functions only when `deferred`."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if is_type_checking(node):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if deferred or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def module_of(name: str) -> str | None:
    """The module of ours that an imported name lies in."""
    return next((known for known in (name, name.rpartition(".")[0]) if known in modules()), None)


def test_imports_go_one_way() -> None:
    wrong = [
        f"{name} imports {one}"
        for name, path in modules().items()
        for one in imports(path, deferred=True)
        if (package := one.split(".")[0]) in PACKAGES and package not in MAY_IMPORT[name.split(".")[0]]
    ]
    assert wrong == []


def test_no_module_imports_itself_by_a_detour() -> None:
    edges = {
        name: {found for one in imports(path, deferred=False) if (found := module_of(one)) and found != name}
        for name, path in modules().items()
    }
    assert edges["p5core.plugins.registry"] >= {"p5core.config.base", "p5core.plugins.kinds", "p5core.errors"}
    while free := [name for name, wanted in edges.items() if not wanted & edges.keys()]:
        for name in free:
            del edges[name]
    assert edges == {}, "these modules import each other in a circle, or what lies in one"


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [
        *project["dependencies"],
        *extras["serve"],
        *extras["minilm"],
        *extras["sign"],
        *extras["text"],
        *extras["tune"],
        *extras["ui"],
    ]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    homes = packages_distributions()
    for name, path in modules().items():
        if name.startswith("p5core.testing"):
            declared = declared | {"pytest"}
        top = {one.split(".")[0] for one in imports(path, deferred=True)} - set(PACKAGES) - sys.stdlib_module_names
        for package in top:
            owners = {canonicalize_name(owner) for owner in homes.get(package, [])}
            assert owners & declared, f"{name} imports {package}, which pyproject.toml does not ask for"


def test_the_training_framework_stays_in_its_room() -> None:
    users = {
        name for name, path in modules().items() for one in imports(path, deferred=True) if one.startswith("lightning")
    }
    assert users
    assert all(name.startswith("p5core.training") for name in users)


@pytest.mark.parametrize(
    ("package", "places"),
    [
        ("optuna", ("p5core.tuning", "p5core.cli.tune")),
        ("matplotlib", ("p5core.tuning", "p5core.cli.tune", "p5core.transfer.results")),
    ],
)
def test_what_few_commands_need_stays_in_their_rooms(package: str, places: tuple[str, ...]) -> None:
    users = {
        name for name, path in modules().items() for one in imports(path, deferred=True) if one.split(".")[0] == package
    }
    assert users
    assert all(name.startswith(places) for name in users)


@pytest.mark.parametrize(
    "statement",
    [
        "import p5core",
        "import p5core.plugins.registry; p5core.load_plugins().commands()",
        "import p5core; p5core.Config; p5core.P5Error; p5core.hookimpl; p5core.load_plugins; p5core.Registry",
        "import p5core.config.experiment",
        "import p5ui",
        "import p5export",
        "import sys; sys.argv[1:] = ['--help']; from p5core.cli import main\ntry: main()\nexcept SystemExit: pass",
    ],
)
def test_light_things_do_not_load_heavy_ones(statement: str) -> None:
    heavy = "{'torch', 'lightning_fabric', 'sqlalchemy', 'gradio', 'onnx', 'rich', 'pytest'}"
    if "experiment" not in statement:
        heavy = heavy.replace("{", "{'pandas', 'duckdb', 'scipy', ")
    code = f"{statement}\nimport sys; loaded = {heavy} & set(sys.modules); assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_public_name_can_be_had() -> None:
    import p5core

    assert all(getattr(p5core, name) is not None for name in p5core.__all__)
    assert set(p5core.__all__) <= set(dir(p5core))
    with pytest.raises(AttributeError, match="No p5core attribute nothing"):
        _ = p5core.nothing
