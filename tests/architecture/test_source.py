"""How every file is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("p5core", "plugins", "export", "ui") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "bench").glob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef
DANGEROUS_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
DANGEROUS_CALLS = {"eval", "exec", "np.load", "os.system", "torch.load", "torch.save"}
VAGUE_OPENING = re.compile(r"\s*(what|how|who|whether|where|which|so|that)\b", re.IGNORECASE)
VAGUE_NAMES = {"found", "known", "one", "wanted"}
DANGEROUS_OPTIONS = {"allow_pickle", "shell"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def faults(check: Callable[[Path], Iterator[str]], paths: list[Path]) -> list[str]:
    """What a check finds in all files, each with its place."""
    assert len(paths) > 10
    return [f"{path.relative_to(ROOT)}: {fault}" for path in paths for fault in check(path)]


def decorators(node: ast.AST) -> list[str]:
    return [ast.unparse(one) for one in getattr(node, "decorator_list", [])]


def is_registered(node: ast.AST) -> bool:
    """Hooks and commands below a group are found by what registers them, not by their names."""
    return any(one == "hookimpl" or ".command(" in one for one in decorators(node))


def assigned(node: ast.stmt) -> set[str]:
    """Names that a statement gives a value."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def exported(path: Path) -> list[str] | None:
    """What `__all__` lists."""
    for node in tree(path).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value and "__all__" in assigned(node):
            return list(ast.literal_eval(node.value))
    return None


def listed(path: Path, names: list[str]) -> set[str]:
    """Names that the value of an exported constant mentions."""
    constants = [node for node in tree(path).body if assigned(node) & set(names)]
    return {one.id for node in constants for one in ast.walk(node) if isinstance(one, ast.Name)}


def long_parts(path: Path) -> Iterator[str]:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > 400:
        yield f"{lines} lines"
    for node in ast.walk(tree(path)):
        length = (getattr(node, "end_lineno", 0) or 0) - getattr(node, "lineno", 0) + 1
        if isinstance(node, Function) and length > 40:
            yield f"{node.name} has {length} lines"


def test_files_and_functions_stay_short() -> None:
    assert faults(long_parts, [*SOURCES, *TESTS, *BENCHMARKS]) == []


def wrong_exports(path: Path) -> Iterator[str]:
    if path.with_suffix(".pyi").exists():  # it is there that the names stand
        return
    names, body = exported(path), tree(path).body
    if names is None:
        yield "no __all__"
        return
    defined = {node.name: node for node in body if isinstance(node, (ast.ClassDef, *Function.__args__))}
    public = {name for name, node in defined.items() if not name.startswith("_") and not is_registered(node)}
    for name in sorted(public - set(names) - listed(path, names)):
        yield f"{name} is public by name, but not in __all__"
    if path.name != "__init__.py":
        for name in sorted(set(names) - defined.keys() - set().union(*map(assigned, body))):
            yield f"{name} is in __all__, but not defined here"
    if sorted(set(names)) != sorted(names):
        yield "__all__ names something twice"


def test_modules_export_what_is_public() -> None:
    assert faults(wrong_exports, SOURCES) == []


def missing_docstrings(path: Path) -> Iterator[str]:
    if not ast.get_docstring(tree(path)):
        yield "the module has no docstring"
    for node in tree(path).body:
        if not isinstance(node, (ast.ClassDef, *Function.__args__)) or node.name.startswith("_") or is_registered(node):
            continue
        if not ast.get_docstring(node):
            yield f"{node.name} has no docstring"
        if isinstance(node, ast.ClassDef) and not node.bases:  # what is derived may be explained by its base
            for method in (one for one in node.body if isinstance(one, Function)):
                if not method.name.startswith("_") and not ast.get_docstring(method):
                    yield f"{node.name}.{method.name} has no docstring"


def test_what_is_public_has_a_docstring() -> None:
    assert faults(missing_docstrings, SOURCES) == []


def vague_words(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if VAGUE_OPENING.match(str(node.value.value)):
                yield f"line {node.lineno} opens with '{str(node.value.value).split()[0]}'"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE_NAMES:
            yield f"line {node.lineno} names a value '{node.id}'"


def test_docstrings_and_names_say_what_a_thing_is() -> None:
    assert faults(vague_words, [*SOURCES, *BENCHMARKS]) == []


def dangers(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {getattr(node, "module", None) or "", *(alias.name for alias in node.names)}
            yield from names & DANGEROUS_MODULES
        if isinstance(node, ast.Call):
            yield from {ast.unparse(node.func)} & DANGEROUS_CALLS
            yield from {str(one.arg) for one in node.keywords} & DANGEROUS_OPTIONS
        if isinstance(node, ast.Global):
            yield f"global {', '.join(node.names)}"


def test_nothing_runs_text_trusts_a_file_or_writes_globals() -> None:
    assert faults(dangers, SOURCES) == []


def put_off(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    marks = (
        "# no" + "qa",
        "TO" + "DO",
        "FIX" + "ME",
        "# type: ignore" + "\n",
        "pytest.mark." + "xfail",
        "pytest." + "skip(",
    )
    return (mark.strip() for mark in marks if mark in text)


def test_nothing_is_silenced_or_put_off() -> None:
    assert faults(put_off, [*SOURCES, *TESTS]) == []
