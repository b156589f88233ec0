"""All data of an experiment, over one catalogue, with everything decided that the experiment leaves open."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from p5core.config.base import AUTO, PartSpec
from p5core.config.experiment import Experiment, SourceConfig
from p5core.config.parts import parts_of
from p5core.config.prepare import PrepareConfig
from p5core.contracts.encoder import Features
from p5core.contracts.scorer import Scorer
from p5core.data.dataset import Dataset
from p5core.data.holdout import split_by_roles, tells_of_held_out
from p5core.data.ingest.prepare import prepare
from p5core.data.profile.report import PrepareReport, with_split
from p5core.data.profile.report_text import report_text
from p5core.data.raw import IdType
from p5core.data.union import grow_catalogue, grow_users, recode
from p5core.errors import ConfigError, DataError
from p5core.evaluation.splitting import Fold, Roles, split_roles
from p5core.model.features import FeatureCache, compute_features
from p5core.plugins.registry import Registry
from p5core.system.messages import Message
from p5core.training.defaults import baseline_labels, check_losses, check_metrics, name_defaults, named_metrics, resolve
from p5core.training.stages import StageData

__all__ = [
    "ExperimentData",
    "broken_order",
    "check_experiment",
    "gather",
    "join_stages",
    "load_data",
    "source_key",
]


@dataclass(frozen=True, eq=False)
class ExperimentData:
    """Everything that training and evaluation need."""

    experiment: Experiment
    """with every choice made"""

    target: StageData
    """data that is evaluated"""

    stages: Sequence[Sequence[StageData]]
    """the sources of each stage; the target is the source of a stage without data of its own"""

    roles: Sequence[Roles]
    """roles of the events of `parts`"""

    fold: Fold | None

    features: Mapping[str, Features]
    """place of an encoder → its features"""

    report: Mapping[str, Any]
    """preparation and split, for `report.json`"""

    sentences: Sequence[str]
    """findings and choices, for people"""

    @property
    def parts(self) -> Sequence[StageData]:
        """The target, then each source of each stage."""
        return [self.target, *(source for stage_data in self.stages for source in stage_data)]


def check_experiment(experiment: Experiment, registry: Registry) -> None:
    """Check every part that an experiment names and its options, before any data is read; raises P5Error."""
    for place in parts_of(experiment):
        is_open = PartSpec.of(place.spec).name == AUTO.name and place.kind in ("loss", "scorer")
        if not is_open:
            registry.choose(place.kind, place.spec, place.key)
    check_losses(experiment, registry)
    _check_scorer_alone(experiment)
    check_metrics(experiment, registry, named_metrics(experiment))
    late = [nth for nth, stage in enumerate(experiment.stages) if nth > 0 and stage.from_run]
    if late:
        raise ConfigError(f"stages.{late[0]}.from: only the first stage can start from another run.")
    if experiment.stages[0].match == "title" and not experiment.stages[0].from_run:
        raise ConfigError(
            "stages.0.match = 'title' matches items with those of a run or base: name it in stages.0.from."
        )


def _check_scorer_alone(experiment: Experiment) -> None:
    """Raise ConfigError for options of a network beside the scorer that is the whole model."""
    model, first = experiment.model, experiment.stages[0]
    if model.scorer is None:
        return
    if model.backbone != AUTO:
        raise ConfigError(
            f"model.scorer = '{model.scorer.name}' is the whole model, without the backbone '{model.backbone.name}'. "
            "Remove one of them, or put the scorer into model.blend."
        )
    if len(experiment.stages) > 1 or first.from_run or first.data is not None or first.sources:
        raise ConfigError(
            f"model.scorer = '{model.scorer.name}' is fitted, not trained in stages. Remove the section stages."
        )


def load_data(
    registry: Registry,
    spec: PartSpec,
    config: PrepareConfig,
    where: str = "data",
    id_types: Mapping[str, IdType] | None = None,
) -> tuple[Dataset, PrepareReport]:
    """Load and prepare one data section; ids become those of known types."""
    raw = registry.choose("loader", spec, where).build().load()
    return prepare(replace(raw, id_types=id_types) if id_types else raw, config)


def gather(
    experiment: Experiment,
    registry: Registry,
    base: Dataset | None = None,
    fold: Fold | None = None,
    cache: FeatureCache | None = None,
) -> ExperimentData:
    """Load, prepare, unite and split all data; `base` is that of a run to start from, whose codes are kept."""
    check_experiment(experiment, registry)
    experiment = name_defaults(experiment, registry)
    baseline_labels(experiment.evaluate.baselines)
    target, report = load_data(registry, experiment.data, experiment.prepare)
    own = _load_sources(experiment, registry, target)
    united = _unite([base] if base else [], [*(dataset for dataset, _ in own.values()), target])
    resolved, choices = resolve(experiment, registry, united[-1])
    first = split_roles(registry, resolved.split, united[-1], resolved.seed, fold)
    by_place, held_back = _fair_sources(united[-1], first, dict(zip(own, united, strict=False)))
    places = [(index, nth) for index, stage in enumerate(experiment.stages) for nth in range(len(stage.all_sources))]
    datasets = [by_place.get(place, united[-1]) for place in places]
    features = compute_features(resolved, registry, united[-1], cache)
    of_sources = {place: _split_of(resolved, registry, place, by_place[place], fold) for place in by_place}
    roles = [first, *(of_sources.get(place, first) for place in places)]
    data = join_stages(resolved, [united[-1], *datasets], roles, fold, features)
    _check_parts(data, registry)
    split = data.target.split
    report = with_split(report, split.cold_share, split.warnings)
    shared = [_shared(f"stages.{index} source {nth}", dataset, target) for (index, nth), (dataset, _) in own.items()]
    sentences = [*experiment.notes, *choices, *shared, *held_back, *broken_order(resolved, registry)]
    stage_reports = {
        f"{experiment.stages[index].name}.{nth}" if nth else experiment.stages[index].name: of_source.to_dict()
        for (index, nth), (_, of_source) in own.items()
    }
    return replace(
        data,
        report={**report.to_dict(), "stages": stage_reports, "choices": sentences},
        sentences=[report_text(report), *(report_text(dataset) for _, dataset in own.values()), *sentences],
    )


def _load_sources(
    experiment: Experiment, registry: Registry, target: Dataset
) -> dict[tuple[int, int], tuple[Dataset, PrepareReport]]:
    """(stage, source) → each data set that is not the target, with its report; equal sections are loaded once."""
    loaded: dict[str, tuple[Dataset, PrepareReport]] = {}
    sources = {}
    for index, stage in enumerate(experiment.stages):
        for nth, source in enumerate(stage.all_sources):
            if source.data is None:
                continue
            where = f"stages.{index}.sources.{nth}.data" if stage.sources else f"stages.{index}.data"
            config = source.prepare or experiment.prepare
            section = source_key(experiment, source)
            if section not in loaded:
                texts = {name: kind for name, kind in target.id_types.items() if kind == "text"}
                loaded[section] = load_data(registry, source.data, config, where, texts)
            sources[index, nth] = loaded[section]
    return sources


def source_key(experiment: Experiment, source: SourceConfig) -> str:
    """A text that is equal for sources of equal data and preparation."""
    assert source.data is not None
    config = source.prepare or experiment.prepare
    return json.dumps([source.data.model_dump(mode="json"), config.model_dump(mode="json")])


def _fair_sources(
    target: Dataset, roles: Roles, datasets: Mapping[tuple[int, int], Dataset]
) -> tuple[dict[tuple[int, int], Dataset], list[Message]]:
    """The sources without events that would tell what is held out of the target, and a sentence on each such one."""
    fair: dict[int, Dataset] = {}
    sentences = []
    for (index, nth), dataset in datasets.items():
        tells = tells_of_held_out(dataset, target, roles)
        if tells.any() and id(dataset) not in fair:
            told = Message(
                "stages.{stage} source {nth}: {n} events are left out, as they tell of events held out of the target",
                stage=index,
                nth=nth,
                n=f"{int(tells.sum()):,}",
            )
            sentences.append(told)
            fair[id(dataset)] = replace(dataset, events=dataset.events.select(~tells))
    return {place: fair.get(id(dataset), dataset) for place, dataset in datasets.items()}, sentences


def _split_of(
    experiment: Experiment, registry: Registry, place: tuple[int, int], dataset: Dataset, fold: Fold | None
) -> Roles:
    """The roles of the events of a source; raises DataError, with its place, where nothing can be held out."""
    roles = split_roles(registry, experiment.split, dataset, experiment.seed, fold)
    try:
        split_by_roles(dataset, roles)
    except DataError as error:
        raise DataError(f"stages.{place[0]} source {place[1]}: {error}") from None
    return roles


def _shared(name: str, dataset: Dataset, target: Dataset) -> Message:
    """A sentence on the items and users that a source and the target have in common: they count as the same ones."""
    return Message(
        "{name}: {items} of its {n_items} items and {users} of its {n_users} users are also in the target, by their "
        "ids; other things need a domain of their own",
        name=name,
        items=f"{int(dataset.catalogue.index.isin(target.catalogue.index).sum()):,}",
        n_items=f"{dataset.n_items:,}",
        users=f"{int(dataset.users.ids.isin(target.users.ids).sum()):,}",
        n_users=f"{len(dataset.users):,}",
    )


def broken_order(experiment: Experiment, registry: Registry) -> tuple[Message, ...]:
    """A warning about a model that learns from an order which the split does not leave."""
    if registry.get("split", experiment.split.name).keeps_order:
        return ()
    model = experiment.model
    scorers = [registry.get("scorer", spec.name) for spec in model.scorers.values()]
    readers = [f"scorer '{scorer.name}'" for scorer in scorers if scorer.reads_order]
    backbone = registry.get("backbone", model.backbone.name)
    if model.scorer is None and backbone.uses_history and backbone.reads_order:
        readers.insert(0, f"backbone '{backbone.name}'")
    warning = (
        "warning: split '{split}' takes events out of the middle of histories, and {readers} would learn from what is "
        "left what follows what; keep the order with split.name = 'leave_one_out' or 'time', or take a model that "
        "reads none, such as [model] scorer = 'ease'"
    )
    return (Message(warning, split=experiment.split.name, readers=", ".join(readers)),) if readers else ()


def join_stages(
    experiment: Experiment,
    datasets: Sequence[Dataset],
    roles: Sequence[Roles],
    fold: Fold | None,
    features: Mapping[str, Features],
) -> ExperimentData:
    """Put the prepared data sets of the target and of each source of each stage together, equal ones once."""
    stage_data: dict[int, StageData] = {}
    for dataset, of_events in zip(datasets, roles, strict=True):
        if id(dataset) not in stage_data:
            stage_data[id(dataset)] = StageData(dataset, split_by_roles(dataset, of_events))
    target, *sources = (stage_data[id(data)] for data in datasets)
    following = iter(sources)
    stages = [[next(following) for _ in stage.all_sources] for stage in experiment.stages]
    return ExperimentData(experiment, target, stages, roles, fold, features, {}, [])


def _check_parts(data: ExperimentData, registry: Registry) -> None:
    """Check that tasks, scorers and split suit the backbone and the data; raises ConfigError."""
    experiment = data.experiment
    for place, spec in experiment.model.scorers.items():
        chosen = registry.choose("scorer", spec, place)
        if chosen.part.state is Scorer.state:
            raise ConfigError(
                f"{place}: scorer '{spec.name}' defines no `state`, so it cannot be stored. It can be a baseline: "
                "evaluate.baselines."
            )
        chosen.part.check(chosen.config, data.target.dataset.catalogue)
    if experiment.model.scorer is None:
        _check_backbone(data, registry)


def _check_backbone(data: ExperimentData, registry: Registry) -> None:
    """Check that tasks, scorers and split suit the backbone; raises ConfigError."""
    experiment = data.experiment
    backbone = registry.get("backbone", experiment.model.backbone.name)
    for stage, stage_data in zip(experiment.stages, data.stages, strict=True):
        for task in stage.tasks:
            for source in stage_data:
                registry.get("task", task.name).check(backbone, source.split.train)
    if not backbone.uses_history and registry.get("split", experiment.split.name).holds_out_users:
        raise ConfigError(
            f"Backbone '{backbone.name}' represents users by trained vectors only, so it cannot serve the unseen "
            f"users of split.name = '{experiment.split.name}'. Choose a backbone that reads histories."
        )
    if not backbone.uses_history and experiment.model.blend:
        raise ConfigError(f"model.blend reads histories, and backbone '{backbone.name}' reads none. Leave it out.")


def _unite(known: Sequence[Dataset], datasets: Sequence[Dataset]) -> list[Dataset]:
    """The data sets in the codes of one catalogue and one list of users."""
    parts = [*known, *datasets]
    catalogue, users = parts[0].catalogue, parts[0].user_frame
    for part in parts[1:]:
        catalogue, users = grow_catalogue(catalogue, part.catalogue), grow_users(users, part.user_frame)
    if len(parts) == 1:
        return list(datasets)
    recoded = {
        id(dataset): recode(dataset, catalogue, users) for dataset in {id(part): part for part in datasets}.values()
    }
    return [recoded[id(dataset)] for dataset in datasets]
