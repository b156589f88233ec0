"""Option blocks: every option explains itself, and a wrong one is explained."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel, Field

import p5core
from p5core.config.base import Config, ExpandedPath, PartSpec, expand_variables, parse_config
from p5core.errors import ConfigError
from p5core.plugins.discovery import load_plugins
from p5core.plugins.kinds import KINDS


class Inner(Config):
    """A nested block."""

    width: int = Field(4, ge=1)
    """How wide."""


class First(Config):
    """One member of a union."""

    name: Literal["first"] = "first"
    """Its name."""

    share: float = 0.5
    """How much."""


class Second(Config):
    """The other member."""

    name: Literal["second"] = "second"
    """Its name."""


class Options(Config):
    """An option block with something of everything."""

    required: int
    """What must be given."""

    share: float = 0.5
    """How much."""

    renamed: str = Field("", alias="from")
    """What files call `from`."""

    path: ExpandedPath = Path(".")
    """Where."""

    inner: Inner = Inner()
    """A block."""

    several: list[Inner] = []
    """Blocks."""

    part: PartSpec | None = None
    """A part."""

    choice: First | Second = Field(First(), discriminator="name")
    """One of two blocks."""

    either: float | bool | None = None
    """A plain union."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "here.required: this option is required."),
        ({"shar": 1}, "here: unknown option 'shar'. Did you mean 'share'? Known options: choice, either, from, inner"),
        ({"renamed": "x"}, "here: unknown option 'renamed'. Known options:"),
        ({"inner": {"widht": 3}}, "here.inner: unknown option 'widht'. Did you mean 'width'? Known options: width."),
        ({"inner": {"width": 0}}, "here.inner.width: Input should be greater than or equal to 1 (got 0)."),
        ({"inner": 7}, "here.inner: expected a table such as { name = ... } (got 7)."),
        ({"several": [{}, {"wide": 1}]}, "here.several.1: unknown option 'wide'. Did you mean 'width'?"),
        ({"part": {"size": 1}}, "here.part.name: this option is required."),
        ({"part": "gpt"}, "here.part: expected a table such as { name = \"gpt\" } (got 'gpt')."),
        ({"choice": {"name": "first", "shere": 1}}, "here.choice: unknown option 'shere'. Did you mean 'share'?"),
        (
            {"choice": {"name": "frist"}},
            "here.choice: unknown name 'frist'. Did you mean 'first'? Known names: first, se",
        ),
        ({"choice": {"share": 1}}, "here.choice.name: this option is required."),
        ({"share": float("inf")}, "here.share: Input should be a finite number (got inf)."),
        ({"share": float("nan")}, "here.share: Input should be a finite number (got nan)."),
        ({"either": [1]}, "here.either: Input should be a valid number (got [1])."),
        ({"either": 2.5j}, "here.either: Input should be a valid number (got 2.5j)."),
    ],
)
def test_a_wrong_option_is_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(Options, options, "here")
    assert message in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"here\.share: .* here\.inner\.width: "):
        parse_config(Options, {"required": 1, "share": "x", "inner": {"width": -1}}, "here")


def test_right_options_are_frozen() -> None:
    options = parse_config(Options, {"required": 1, "from": "x"}, "here")
    assert (options.required, options.renamed) == (1, "x")
    with pytest.raises(ValueError, match="Instance is frozen"):
        options.required = 2  # type: ignore[misc]


def test_the_options_of_a_part_are_all_but_its_name() -> None:
    assert PartSpec.model_validate({"name": "gpt", "n_layers": 2}).options == {"n_layers": 2}
    assert PartSpec(name="gpt").options == {}


def test_variables_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_DATA", "/data/here")
    assert expand_variables("${SOME_DATA}/a/${SOME_DATA}") == "/data/here/a//data/here"
    assert expand_variables("$SOME_DATA costs 5 $") == "$SOME_DATA costs 5 $"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_DATA", raising=False)
    with pytest.raises(ConfigError, match=r"'\$\{NO_DATA\}/x' uses the environment variable NO_DATA, which is not set"):
        parse_config(Options, {"required": 1, "path": "${NO_DATA}/x"}, "here")


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    paths = [parse_config(Options, {"required": 1, "path": path}, "").path for path in ("a.csv", "~/b.csv", "/c.csv")]
    assert paths == [tmp_path / "a.csv", Path("/home/somebody/b.csv"), Path("/c.csv")]


def test_a_path_that_is_none_is_explained() -> None:
    with pytest.raises(ConfigError, match=r"here\.path: Input is not a valid path for .*Path.* \(got 3\)"):
        parse_config(Options, {"required": 1, "path": 3}, "here")


def models_of_the_core() -> Iterator[type[BaseModel]]:
    """Every class of options that a module of p5core defines."""
    names = [info.name for info in pkgutil.walk_packages(p5core.__path__, "p5core.")]
    for name in names:
        if name.endswith(".__main__"):  # what is imported there runs
            continue
        module = importlib.import_module(name)
        for found in vars(module).values():
            if isinstance(found, type) and issubclass(found, Config) and found.__module__ == module.__name__:
                yield found


def models_of(annotation: Any) -> set[type[BaseModel]]:
    """The option block of a part and all that lie in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}.union(*(models_of(field.annotation) for field in annotation.model_fields.values()))
    return set().union(*map(models_of, get_args(annotation)))


def bare_options(models: Iterable[type[BaseModel]]) -> list[str]:
    return [
        f"{model.__module__}.{model.__qualname__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]


def test_every_option_of_the_core_is_documented() -> None:
    models = list(models_of_the_core())
    assert {"Experiment", "StageConfig", "PrepareConfig"} <= {model.__name__ for model in models}
    assert bare_options(models) == []


def test_every_option_of_every_part_is_documented() -> None:
    registry = load_plugins()
    for kind in KINDS:
        for info in registry.parts(kind).values():
            assert bare_options(models_of(info.part.Config)) == []


def test_an_option_without_a_docstring_is_noticed() -> None:
    class Mute(Config):
        wide: int = 1
        inner: list[Inner] = []
        """Blocks."""

    assert models_of(Mute) == {Mute, Inner}
    assert bare_options(models_of(Mute))[0].endswith("Mute.wide")
