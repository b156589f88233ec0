"""Files that an experiment names, held to the working folder."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from p5core.config import PartSpec
from p5core.errors import ConfigError
from p5core.experiment import Experiment
from p5core.plugins import Registry
from p5ui.forms import has_paths
from p5ui.studio import Studio

__all__ = ["data_files", "grounded", "hold_to_folder", "usable_loaders"]

SUFFIXES = (
    ".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".inter", ".item", ".user", ".jsonl", ".ndjson", ".json",
    ".parquet", ".pq", ".gz", ".zst",
)  # fmt: skip
N_LISTED = 200


def data_files(studio: Studio) -> list[str]:
    """Names of files that look like data, uploads first."""
    places = (studio.uploads, studio.folder, studio.folder / "data")
    found = [path for place in places for path in sorted(place.glob("*")) if path.name.lower().endswith(SUFFIXES)]
    return [path.relative_to(studio.folder).as_posix() for path in found if path.is_file()][:N_LISTED]


def usable_loaders(registry: Registry) -> list[str]:
    """Loaders that can be held to a folder and whose options a file can hold."""
    return [
        name
        for name, info in registry.parts("loader").items()
        if registry.get("loader", name).reads_only_paths
        and not any(one.exclude for one in info.part.Config.model_fields.values())
    ]


def grounded(spec: PartSpec, studio: Studio) -> PartSpec:
    """A loader with its paths made absolute, to be loaded here; raises ConfigError for one that leads elsewhere."""
    part = studio.registry.get("loader", spec.name)
    if not part.reads_only_paths:
        raise ConfigError(
            f"The loader '{spec.name}' cannot be held to the working folder, so it does not work here. Use 'p5 run'."
        )
    options = dict(spec.options)
    for name, info in part.Config.model_fields.items():
        if has_paths(info) and options.get(name):
            options[name] = str(_inside(str(options[name]), studio))
    return PartSpec.model_validate({"name": spec.name, **options})


def hold_to_folder(experiment: Experiment, studio: Studio) -> None:
    """Raise ConfigError when an experiment would read anything outside of the working folder."""
    for kind, spec in _specs(experiment):
        if kind == "loader":
            grounded(spec, studio)
            continue
        options: dict[str, Any] = spec.options
        for name, info in studio.registry.get(kind, spec.name).Config.model_fields.items():
            if has_paths(info) and options.get(name):
                _inside(str(options[name]), studio)
    source = experiment.stages[0].from_run
    if source:
        _inside(
            source if Path(source).is_absolute() or not (studio.runs / source).exists() else f"runs/{source}", studio
        )


def _specs(experiment: Experiment) -> Iterator[tuple[str, PartSpec]]:
    yield "loader", experiment.data
    yield "backbone", experiment.model.backbone
    yield from (("encoder", spec) for spec in experiment.model.encoders)
    yield from (("tracker", spec) for spec in experiment.trackers)
    for stage in experiment.stages:
        if stage.data is not None:
            yield "loader", stage.data
        for task in stage.tasks:
            yield "task", task
            if task.loss.name != "auto":
                yield "loss", task.loss


def _inside(name: str, studio: Studio) -> Path:
    """The path below the working folder, what a pattern matches included."""
    if "${" in name:
        raise ConfigError(f"'{name}' depends on the environment, which pages do not read. Name the path itself.")
    folder = studio.folder.resolve()
    path = Path(name)
    if path.is_absolute() and path.is_relative_to(folder):
        name = path.relative_to(folder).as_posix()
    studio.inside(name)
    for match in glob.glob(name, root_dir=folder, recursive=True):
        studio.inside(match)
    return folder / name
