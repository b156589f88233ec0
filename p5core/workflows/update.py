"""New events, or new items alone, for a finished run, without training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from p5core.config.base import PartSpec
from p5core.config.experiment import Experiment
from p5core.config.tree import override
from p5core.contracts.encoder import Features
from p5core.data.append import append
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.report import Dropped
from p5core.data.storage import write_dataset
from p5core.data.tables.metadata import new_items
from p5core.data.union import grow_catalogue, recode
from p5core.errors import ConfigError
from p5core.fitting.experiment_data import ExperimentData
from p5core.fitting.trained_model import TrainedModel, load_model, load_run_data
from p5core.model.blend import Blend, write_blend
from p5core.model.build import build_network, count_items
from p5core.model.features import FeatureCache, compute_features, write_features
from p5core.model.network import Network
from p5core.model.warm_start import Source, entity_index, warm_start
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.create import create_run
from p5core.runs.documents import RunState, Status
from p5core.runs.names import check_run_name, free_name
from p5core.runs.run import Run
from p5core.system.files import read_json, write_json, write_tensors

__all__ = ["Updated", "extend", "update"]


@dataclass(frozen=True)
class Updated:
    """An updated run and counts of the additions."""

    run: Run
    n_events: int
    n_items: int
    n_users: int
    dropped: tuple[Dropped, ...]
    """rows of the new events that were left out"""


def update(
    run: Run,
    events: Path,
    name: str | None = None,
    registry: Registry | None = None,
    assignments: Sequence[str] = (),
) -> Updated:
    """Join `events` to the data of a finished run and write a new run beside it that knows them.

    Scorers of the blend and the popularity are fitted again, over all events, held-out ones included. The network keeps
    its weights; new items start from the mean of the others and from their content. `events` are read by the run's own
    loader and options; `assignments` such as "separator=;" change them. The figures stay those of the first run: what
    they were measured on is no longer unseen, so an updated run cannot be evaluated again. Raises P5Error; nothing is
    left behind then.
    """
    registry = registry or load_plugins()
    if name is not None:
        check_run_name(name)
    data, old = _opened(run, registry)
    before = data.target.dataset
    experiment = _with_events(data.experiment, events, assignments, registry)
    raw = registry.choose("loader", experiment.data, "data").build().load()
    fresh, report = prepare_more(replace(raw, id_types=before.id_types), experiment.prepare)
    dataset = append(before, fresh, experiment.prepare.keep)
    return _updated(run, name, registry, data, old, dataset, report.to_dict(), report.dropped)


def extend(
    run: Run,
    items: Path,
    name: str | None = None,
    registry: Registry | None = None,
    id_column: str | None = None,
    title_column: str | None = None,
) -> Updated:
    """Add the unknown items of a table to a finished run, and write a new run beside it that recommends them.

    Their content alone places them: titles, texts, categories. What the run knows of its own items stays. Scorers and
    popularity are fitted again, as by `update`. Raises ConfigError for a run that tells items apart by ids alone,
    DataError for a table without new items or without any column that the run knows.
    """
    registry = registry or load_plugins()
    if name is not None:
        check_run_name(name)
    data, old = _opened(run, registry)
    scorers = () if old.blend is None else old.blend.scorers
    is_network = data.experiment.model.scorer is None and old.network.items.reads_content
    if not is_network and not any(scorer.reads_content for scorer in scorers):
        raise ConfigError(
            f"Run {run.path} tells items apart by their events alone, so nothing would be known of new ones. Train it "
            'with an encoder of content, such as { name = "text", columns = ["title"] }.'
        )
    before = data.target.dataset
    fresh, notes = new_items(Path(items), before.catalogue, id_column, title_column)
    catalogue = grow_catalogue(before.catalogue, fresh)
    dataset = recode(before, catalogue, before.user_frame)
    stored = read_json(run.path / "report.json")
    report = {**stored, "n_items": len(catalogue), "extended": [str(note) for note in notes]}
    return _updated(run, name, registry, data, old, dataset, report, ())


def _opened(run: Run, registry: Registry) -> tuple[ExperimentData, TrainedModel]:
    """Data and model of a finished run that can grow; raises ConfigError for one of user vectors."""
    run.verify()
    data = load_run_data(run, registry)
    old = load_model(run, data, registry)
    if not old.network.backbone.uses_history:
        raise ConfigError(f"Run {run.path} represents users by trained vectors only, so new events need new training.")
    return data, old


def _updated(
    run: Run,
    name: str | None,
    registry: Registry,
    data: ExperimentData,
    old: TrainedModel,
    dataset: Dataset,
    report: Mapping[str, Any],
    dropped: tuple[Dropped, ...],
) -> Updated:
    """Extend the model to a larger data set and write it as a run."""
    features = compute_features(data.experiment, registry, dataset, FeatureCache(base=data.features))
    network = _grown(old.network.cpu(), data, dataset, features, registry)
    blend = None if old.blend is None else old.blend.refitted(dataset.events, dataset.catalogue)
    grown = _Grown(dataset, features, network, blend)
    folder = _write(run, name, data.experiment, registry, grown, {**report, "updated": run.name})
    before = data.target.dataset
    return Updated(
        folder,
        len(dataset.events) - len(before.events),
        len(dataset.catalogue) - len(before.catalogue),
        len(dataset.users) - len(before.users),
        dropped,
    )


def _with_events(experiment: Experiment, events: Path, assignments: Sequence[str], registry: Registry) -> Experiment:
    """The experiment with its data section reading other events; raises ConfigError when its loader reads no file."""
    tree = experiment.data.model_dump(exclude_unset=True)
    for assignment in assignments:
        tree = override(tree, assignment)
    loader = registry.get("loader", PartSpec.model_validate(tree).name)
    option = loader.path_option
    if option is None or option not in loader.Config.model_fields:
        raise ConfigError(
            f"Loader '{loader.name}' reads no file, so it cannot read {events}. Name one that does: --set name=table."
        )
    tree = override(tree, f"{option}={json.dumps(str(events))}")
    return experiment.model_copy(update={"data": PartSpec.model_validate(tree)})


@dataclass(frozen=True, eq=False)
class _Grown:
    """A model extended to a larger catalogue."""

    dataset: Dataset
    features: Mapping[str, Features]
    network: Network
    blend: Blend | None


def _grown(
    old: Network, data: ExperimentData, dataset: Dataset, features: Mapping[str, Features], registry: Registry
) -> Network:
    """The network extended to the larger catalogue."""
    network = build_network(data.experiment, registry, dataset, dataset.events, features)
    source = Source(old.state_dict(), old.row_labels(), entity_index(data.target.dataset))
    warm_start(network, entity_index(dataset), source)
    count_items(network, dataset.events)
    return network


def _write(
    run: Run, name: str | None, experiment: Experiment, registry: Registry, grown: _Grown, report: dict[str, Any]
) -> Run:
    def fill(folder: Run) -> None:
        write_dataset(folder.data / "target", grown.dataset)
        write_features(folder.features, experiment, registry, grown.dataset, grown.features)
        write_tensors(folder.weights, grown.network.state_dict())
        if grown.blend is not None:
            write_blend(folder.path, grown.blend)
        shutil.copy2(run.path / "per_user.safetensors", folder.path)
        note = f"Evaluated as '{run.name}', before events or items were added."
        metrics = run.metrics()
        protocol = f"{metrics.protocol} {note}"
        write_json(
            folder.path / "metrics.json",
            metrics.model_copy(update={"protocol": protocol, "protocol_message": None}).model_dump(mode="json"),
        )
        folder.write_status(Status(state=RunState.DONE, share=1.0))
        shutil.rmtree(folder.checkpoints)
        folder.seal()

    path = run.path.parent / (name or free_name(run.path.parent, run.name))
    return create_run(path, experiment, report, run.fold(), run.name, run.info().parts, fill=fill)
