"""All data of an experiment, over one catalogue, with everything decided that the experiment leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from p5core.config.base import PartSpec
from p5core.config.experiment import Experiment
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import PrepareConfig, prepare
from p5core.data.ingest.report import PrepareReport, report_text, with_split
from p5core.data.split import split
from p5core.data.union import grow_catalogue, grow_users, recode
from p5core.errors import ConfigError
from p5core.plugins.registry import Registry
from p5core.training.defaults import check_metrics, resolve_losses, resolve_precision
from p5core.training.stages import StageData, make_fabric

__all__ = ["ExperimentData", "check_experiment", "gather", "load_data", "rebuild"]


@dataclass(frozen=True, eq=False)
class ExperimentData:
    """Everything that training needs."""

    experiment: Experiment
    """with every loss decided"""

    target: StageData
    """what is evaluated"""

    stages: Sequence[StageData]
    """one a stage; stages without data of their own share the target"""

    fold: tuple[int, int] | None
    """(i, n) of a cross-validation fold"""

    report: Mapping[str, Any]
    """what preparation and split did, for `report.json`"""

    sentences: Sequence[str]
    """what was found and decided, for people"""


def check_experiment(experiment: Experiment, registry: Registry) -> None:
    """Check every part that an experiment names and its options, before any data is read; raises P5Error."""
    registry.choose("loader", experiment.data, "data")
    registry.choose("backbone", experiment.model.backbone, "model.backbone")
    for spec in experiment.model.encoders:
        registry.choose("encoder", spec, f"model.encoders.{spec.name}")
    for tracker in experiment.trackers:
        registry.choose("tracker", tracker, f"trackers.{tracker.name}")
    for stage in experiment.stages:
        if stage.data is not None:
            registry.choose("loader", stage.data, f"stages.{stage.name}.data")
        for task in stage.tasks:
            registry.choose("task", task, f"stages.{stage.name}.tasks.{task.name}")
            if task.loss.name != "auto":
                registry.choose("loss", task.loss, f"stages.{stage.name}.tasks.{task.name}.loss")
    check_metrics(experiment, registry)
    make_fabric(experiment.device, experiment.precision)
    from_runs = [stage.name for stage in experiment.stages[1:] if stage.from_run]
    if from_runs:
        raise ConfigError(f"stages.{from_runs[0]}.from: only the first stage can start from another run.")


def load_data(
    registry: Registry, spec: PartSpec, config: PrepareConfig, where: str = "data"
) -> tuple[Dataset, PrepareReport]:
    """Load and prepare one data section."""
    return prepare(registry.choose("loader", spec, where).build().load(), config)


def gather(
    experiment: Experiment, registry: Registry, known: Dataset | None = None, fold: tuple[int, int] | None = None
) -> ExperimentData:
    """Load, prepare, unite and split all data; `known` is that of a run to start from, whose codes are kept."""
    check_experiment(experiment, registry)
    target, report = load_data(registry, experiment.data, experiment.prepare)
    own = {}
    for index, stage in enumerate(experiment.stages):
        if stage.data is not None:
            where = f"stages.{stage.name}.data"
            own[index] = load_data(registry, stage.data, stage.prepare or experiment.prepare, where)
    united = _unite([known] if known else [], [*(dataset for dataset, _ in own.values()), target])
    by_stage = dict(zip(own, united, strict=False))
    datasets = [by_stage.get(index, united[-1]) for index in range(len(experiment.stages))]
    data = rebuild(experiment, registry, datasets, united[-1], fold)
    found = data.target.split
    report = with_split(report, found.cold_share, found.warnings)
    stage_reports = {experiment.stages[index].name: one.to_dict() for index, (_, one) in own.items()}
    return ExperimentData(
        data.experiment,
        data.target,
        data.stages,
        fold,
        {**report.to_dict(), "stages": stage_reports, "choices": list(data.sentences)},
        [report_text(report), *(report_text(one) for _, one in own.values()), *data.sentences],
    )


def rebuild(
    experiment: Experiment,
    registry: Registry,
    datasets: Sequence[Dataset],
    target: Dataset,
    fold: tuple[int, int] | None,
) -> ExperimentData:
    """Split prepared data sets, equal ones once, and check that stages suit them; raises ConfigError."""
    split_of = {id(one): split(one, experiment.split, experiment.seed, fold) for one in (target, *datasets)}
    stage_data = {id(one): StageData(one, split_of[id(one)]) for one in (target, *datasets)}
    exact, sentences = resolve_precision(experiment)
    resolved, about_losses = resolve_losses(exact, registry, target)
    backbone = registry.get("backbone", experiment.model.backbone.name)
    for stage, dataset in zip(experiment.stages, datasets, strict=True):
        for task in stage.tasks:
            registry.get("task", task.name).check(backbone, split_of[id(dataset)].train)
    if not backbone.uses_history and experiment.split.name == "by_user":
        raise ConfigError(
            f"Backbone '{backbone.name}' knows users by their vectors alone, so it cannot serve the unseen users of "
            "split.name = 'by_user'. Choose a backbone that reads histories."
        )
    if not backbone.uses_history and experiment.model.memory is not None:
        raise ConfigError(
            f"model.memory reads histories, and backbone '{backbone.name}' knows users alone. Leave it out."
        )
    return ExperimentData(
        resolved,
        stage_data[id(target)],
        [stage_data[id(one)] for one in datasets],
        fold,
        {},
        [*sentences, *about_losses],
    )


def _unite(known: Sequence[Dataset], datasets: Sequence[Dataset]) -> list[Dataset]:
    """The data sets in the codes of one catalogue and one list of users."""
    parts = [*known, *datasets]
    catalogue, users = parts[0].catalogue, parts[0].user_frame
    for one in parts[1:]:
        catalogue, users = grow_catalogue(catalogue, one.catalogue), grow_users(users, one.user_frame)
    return list(datasets) if len(parts) == 1 else [recode(one, catalogue, users) for one in datasets]
