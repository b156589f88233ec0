"""The rooms of p5core: how many there are, how large they are, and in which direction they import."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from p5core.plugins.discovery import load_plugins
from p5core.plugins.kinds import KINDS

CORE = Path(__file__).parents[2] / "p5core"

MAX_ROOMS, MAX_FLOORS = 20, 12

FORMER_NAMES = {CORE / "config" / "upgrade.py", CORE / "fitting" / "format1.py"}
"""Readers of what P5 0.1 wrote, which called its only scorer by another name."""

ORDINARY_WORDS = {
    *("id", "random", "time", "table", "sequential", "numbers", "categories"),
    *("filter", "rating", "ratings", "precision", "csv", "text", "content", "vectors"),
}
"""Names of parts that are words of everyday code; where they stand between quotation marks is looked at by eye."""


@cache
def modules() -> dict[str, Path]:
    """Dotted name below p5core → file."""
    return {
        ".".join(path.relative_to(CORE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(CORE.rglob("*.py"))
    }


def room_of(module: str) -> str:
    """The folder that a module lies in; a file directly below p5core is a room of its own."""
    return module if modules()[module].name == "__init__.py" or "." not in module else module.rpartition(".")[0]


@cache
def imports() -> dict[str, set[str]]:
    """Module → modules that it imports, anywhere in the file and for type checkers alone too."""
    found: dict[str, set[str]] = {}
    for name, path in modules().items():
        if name == "__init__":
            continue
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        names = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
        below = {one.removeprefix("p5core.") for one in names if one.startswith("p5core.")}
        found[name] = {one if one in modules() else one.rpartition(".")[0] for one in below} & modules().keys() - {name}
    return found


@cache
def arrows() -> dict[str, set[str]]:
    """Room → other rooms that it imports."""
    found: dict[str, set[str]] = {}
    for name, others in imports().items():
        found.setdefault(room_of(name), set()).update(room_of(one) for one in others)
    return {room: others - {room} for room, others in found.items()}


def floors(graph: dict[str, set[str]]) -> list[set[str]]:
    """The nodes layer by layer, each importing lower layers alone; what lies in a circle has no layer."""
    layers: list[set[str]] = []
    known: set[str] = set()
    while layer := {one for one, others in graph.items() if one not in known and others <= known}:
        layers.append(layer)
        known |= layer
    return layers


def test_neither_rooms_nor_modules_import_each_other_in_a_circle() -> None:
    for graph in (arrows(), imports()):
        assert graph.keys() - set().union(*floors(graph)) == set()


def test_there_are_few_rooms_on_few_floors() -> None:
    assert len(arrows()) <= MAX_ROOMS
    assert len(floors(arrows())) <= MAX_FLOORS


def test_a_room_has_neither_few_nor_many_tenants() -> None:
    sizes = {
        folder.relative_to(CORE).as_posix(): len([one for one in folder.glob("*.py") if one.name != "__init__.py"])
        for folder in [one for one in CORE.rglob("*") if (one / "__init__.py").exists()]
    }
    assert {room: n for room, n in sizes.items() if not 4 <= n <= 12} == {}


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("config", {"contracts", "plugins", "data", "model", "training", "evaluation", "runs", "workflows"}),
        ("contracts", {"model", "evaluation", "training", "runs", "workflows", "plugins", "data.ingest"}),
        ("model", {"training", "evaluation", "runs", "fitting", "workflows"}),
        ("evaluation", {"training", "runs", "fitting", "workflows"}),
        ("training", {"runs", "fitting", "workflows"}),
        ("runs", {"model", "training", "evaluation", "fitting", "workflows"}),
        ("fitting", {"workflows", "transfer", "tuning", "testing", "cli"}),
        ("workflows", {"cli", "tuning", "testing"}),
    ],
)
def test_rooms_import_downwards(room: str, forbidden: set[str]) -> None:
    assert arrows()[room] & forbidden == set()


def test_the_core_names_no_concrete_part() -> None:
    registry = load_plugins()
    parts = {info.part for kind in KINDS for info in registry.all_parts(kind) if info.is_built_in}
    names = {part.name for part in parts} - ORDINARY_WORDS
    wrong = []
    for path in sorted(set(CORE.rglob("*.py")) - FORMER_NAMES):
        tree = ast.parse(path.read_text())
        described = docstrings(tree)
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in described]
        wrong += [f"{path.name}: '{node.value}'" for node in texts if node.value in names]
    assert wrong == []
    assert not [path for path in CORE.rglob("*.py") if re.search(r"\bp5plugins\b", path.read_text())]


def docstrings(tree: ast.Module) -> list[ast.expr]:
    """Texts that stand by themselves: docstrings of modules, classes, functions and attributes."""
    return [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
