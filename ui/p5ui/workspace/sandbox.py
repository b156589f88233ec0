"""Files that an experiment names, held to the working folder."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from p5core.config.base import AUTO, PartSpec, has_paths
from p5core.config.experiment import Experiment
from p5core.config.parts import parts_of
from p5core.data.tables.files import COMPRESSIONS, SUFFIXES
from p5core.errors import ConfigError
from p5core.plugins.registry import Registry
from p5ui.workspace.workspace import Workspace

__all__ = ["data_files", "grounded", "hold_to_folder", "usable_loaders"]

ENDINGS = (*(suffix for suffixes in SUFFIXES.values() for suffix in suffixes), *COMPRESSIONS)
N_LISTED = 200


def data_files(workspace: Workspace) -> list[str]:
    """Names of files that look like data, uploads first."""
    places = (workspace.uploads, workspace.folder, workspace.folder / "data")
    files = [path for place in places for path in sorted(place.glob("*")) if path.name.lower().endswith(ENDINGS)]
    return [path.relative_to(workspace.folder).as_posix() for path in files if path.is_file()][:N_LISTED]


def usable_loaders(registry: Registry) -> list[str]:
    """Loaders that can be held to a folder and whose options a file can hold."""
    return [
        name
        for name, info in registry.parts("loader").items()
        if registry.get("loader", name).reads_only_paths
        and not any(option.exclude for option in info.part.Config.model_fields.values())
    ]


def grounded(spec: PartSpec, workspace: Workspace) -> PartSpec:
    """A loader with its paths made absolute, to be loaded here; raises ConfigError for one that leads elsewhere."""
    part = workspace.registry.get("loader", spec.name)
    if not part.reads_only_paths:
        raise ConfigError(
            f"The loader '{spec.name}' cannot be held to the working folder, so it does not work here. Use 'p5 run'."
        )
    return PartSpec.model_validate({"name": spec.name, **_held(part.Config, spec.options, workspace)})


def hold_to_folder(experiment: Experiment, workspace: Workspace) -> None:
    """Raise ConfigError when an experiment would read anything outside of the working folder."""
    for place in parts_of(experiment):
        spec = PartSpec.of(place.spec)
        if place.kind == "loader":
            grounded(spec, workspace)
        elif spec.name != AUTO.name:
            _held(workspace.registry.get(place.kind, spec.name).Config, spec.options, workspace)
    source = experiment.stages[0].from_run
    if source:
        for path in (source, str(workspace.runs / source)):  # a base has the first place, then a run
            _inside(path, workspace)


def _held(config: type[BaseModel], options: Mapping[str, Any], workspace: Workspace) -> dict[str, Any]:
    """Options of a part, each path in them, alone or in a list, absolute and below the working folder."""

    def held(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: held(member) for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [held(member) for member in value]
        return str(_inside(str(value), workspace)) if isinstance(value, (str, Path)) and str(value) else value

    paths = {name for name, info in config.model_fields.items() if has_paths(info)}
    return {name: held(value) if name in paths else value for name, value in options.items()}


def _inside(name: str, workspace: Workspace) -> Path:
    """The path as parts open it, `~` expanded; raises ConfigError unless it lies below, and what a pattern matches."""
    if "${" in name:
        raise ConfigError(f"'{name}' depends on the environment, which pages do not read. Name the path itself.")
    folder = workspace.folder.resolve()
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # there is no such person
        raise ConfigError(f"'{name}' is not below the working folder. Name a file or folder inside of it.") from None
    if path.is_absolute() and path.is_relative_to(folder):
        path = path.relative_to(folder)
    name = path.as_posix()
    workspace.inside(name)
    for match in glob.glob(name, root_dir=folder, recursive=True):
        workspace.inside(match)
    return folder / name
