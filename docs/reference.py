"""Writes the pages that are made from the code and the changelog: parts, experiment, api and upgrading.md beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import griffe
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import p5core
from p5core.config.base import PartSpec
from p5core.plugins.discovery import load_plugins
from p5core.plugins.kinds import KINDS, Kind
from p5core.plugins.registry import Registry
from p5plugins.layouts.published import PublishedConfig
from p5plugins.loaders.table import Table

__all__ = ["PAGES", "write_pages"]

FOLDER = Path(__file__).parent
GROUPS = {
    "workflows": "Train, evaluate, recommend, update",
    "transfer": "Pre-train, fine-tune",
    "runs": "Runs",
    "config": "Experiments and options",
    "contracts": "Contracts of parts",
    "plugins": "Plugins",
    "data": "Data",
    "system": "Messages",
    "errors": "Errors",
}
"""Package below `p5core` → heading on the page of the interface."""

WORDS = {"bool": "true or false", "int": "integer", "float": "number", "str": "text", "Path": "path"}
PLURALS = {"part": "parts", "table": "tables", "integer": "integers", "number": "numbers", "text": "texts"}


def parts_page() -> str:
    """Every built-in part by kind, with its options."""
    registry = load_plugins()
    lines = [
        "# Parts", "",
        'An experiment chooses each part by its name: `backbone = { name = "gru", n_layers = 2 }`. `p5 plugins list`',
        "prints the installed ones, those of other distributions included; [Write a plugin](plugins.md) shows how to",
        "add one.",
    ]  # fmt: skip
    for kind in KINDS.values():
        lines += ["", f"## {kind.title[0].upper()}{kind.title[1:]}", "", *_kind_lines(registry, kind)]
    return "\n".join(lines) + "\n"


def _kind_lines(registry: Registry, kind: Kind) -> Iterator[str]:
    yield f"Contract: `{kind.module}.{kind.contract}`; hook: `{kind.hook}`."
    infos = [info for info in registry.all_parts(kind.name) if info.plugin.distribution == "p5rec"]
    for info in sorted(infos, key=lambda info: info.part.name):
        yield from ("", f"### `{info.part.name}`", "", info.about)
        if _base(info.part.Config):
            yield from ("", f"Options: those of `{_base(info.part.Config)}`; `path` may be a folder.")
        elif info.part.Config.model_fields:
            yield from ("", *_option_table(info.part.Config))


def _base(config: type[BaseModel]) -> str:
    """The part whose options those of a published data set extend."""
    return Table.name if issubclass(config, PublishedConfig) else ""


def experiment_page() -> str:
    """Every option of an experiment, by table of the file."""
    lines = [
        "# The experiment file", "",
        "An experiment is one TOML file. `p5 init` writes a commented one for a data set; `--set model.width=128`",
        "overrides an option of it. `[data]` takes a loader and its options, which [Parts](parts.md) lists.",
        '`"auto"` is chosen from the data, and the run keeps what was chosen.',
        "", "## Top level", "", *_option_table(p5core.Experiment),
    ]  # fmt: skip
    sections = {model: heading for heading, model in reversed([*_sections(p5core.Experiment, "")])}
    for model, heading in reversed(sections.items()):
        lines += ["", f"## `{heading}`", "", (model.__doc__ or "").strip(), "", *_option_table(model)]
    return "\n".join(lines) + "\n"


def _sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            listed = get_origin(field.annotation) is list
            path = f"{prefix}{field.alias or name}"
            yield (f"[[{path}]]" if listed else f"[{path}]"), inner
            yield from _sections(inner, f"{path}.")


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The tables below an option that have options of their own; parts are on a page of theirs."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if annotation is PartSpec else [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _option_table(model: type[BaseModel]) -> Iterator[str]:
    yield from ("| option | type | default | description |", "| --- | --- | --- | --- |")
    for name, field in model.model_fields.items():
        cells = (f"`{field.alias or name}`", _type_name(field.annotation), _default(field), field.description or "")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type_name(annotation: Any) -> str:
    """A type in the words of TOML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{_toml(value)}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type_name(choice) for choice in inner if choice is not NoneType))
    if origin in (list, tuple, set, frozenset):
        return f"list of {PLURALS.get(_type_name(inner[0]), _type_name(inner[0]))}"
    if origin is dict:
        return "table"
    if origin is not None:  # Annotated
        return _type_name(inner[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "part" if issubclass(annotation, PartSpec) else "table"
    name = getattr(annotation, "__name__", str(annotation))
    return WORDS.get(name, name)


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    if _models(field.annotation):
        return "see below"
    return f"`{_toml(default)}`" if default is not None else "none"


def _toml(value: Any) -> str:
    if isinstance(value, PartSpec):
        return f'"{value.name}"'
    if isinstance(value, BaseModel):
        return "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(entry) for entry in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, (str, Path)) else str(value)


def api_page() -> str:
    """Every public name of `p5core` with its signature and docstring."""
    package = griffe.load("p5core", search_paths=[str(FOLDER.parent)])
    lines = [
        "# Python interface", "",
        "The names of `p5core` and the modules of `p5core.contracts` are public; everything else may change without",
        "notice. `import p5core` takes milliseconds: each name is imported when it is first used.",
    ]  # fmt: skip
    members = [package[name] for name in p5core.__all__]
    objects = [member.target for member in members if isinstance(member, griffe.Alias)]
    for room, heading in GROUPS.items():
        lines += ["", f"## {heading}"]
        for member in objects:
            if isinstance(member, griffe.Object) and member.path.split(".")[1] == room:
                lines += ["", *_object_lines(member)]
    return "\n".join(lines) + "\n"


def _object_lines(member: griffe.Object) -> Iterator[str]:
    yield from (f"### `p5core.{member.name}`", "", f"```text\n{_signature(member)}\n```", "", _doc(member))
    if not isinstance(member, griffe.Class):
        return
    for name, inner in member.members.items():
        if isinstance(inner, griffe.Alias) or name.startswith("_"):
            continue
        if isinstance(inner, griffe.Attribute) or inner.docstring:
            yield from (
                "",
                f"- `{_signature(inner)}`  ",
                *(f"    {line}".rstrip() for line in _doc(inner).splitlines()),
            )


def _signature(member: griffe.Object) -> str:
    if isinstance(member, griffe.Function):
        return str(member.signature()).replace("(self, ", "(").replace("(self)", "()").replace("(cls, ", "(")
    if isinstance(member, griffe.Class):
        bases = ", ".join(str(base) for base in member.bases)
        return f"class {member.name}({bases})" if bases else f"class {member.name}"
    assert isinstance(member, griffe.Attribute)
    return f"{member.name}: {member.annotation}" if member.annotation else f"{member.name} = {member.value}"


def _doc(member: griffe.Object) -> str:
    return member.docstring.value if member.docstring else ""


def upgrading_page() -> str:
    """Former names and formats, as the changelog has them."""
    changes = (FOLDER.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    _, versions = changes.split("## ", 1)
    lines = ["# Upgrading", ""]
    for version in versions.split("\n## "):
        sections = [section for section in version.split("\n### ") if section.startswith(("Renamed", "Moved"))]
        if sections:
            lines += [f"## {version.splitlines()[0]}", "", *(f"### {section.strip()}\n" for section in sections)]
    return "\n".join(lines).rstrip() + "\n"


PAGES = {"parts.md": parts_page, "experiment.md": experiment_page, "api.md": api_page, "upgrading.md": upgrading_page}
"""File beside this one → what it holds."""


def write_pages() -> None:
    """Write every page that is made from the code."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
