"""New events and items for a finished run, without training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p5core.config.base import PartSpec
from p5core.config.experiment import Experiment, override
from p5core.data.append import append
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare_more
from p5core.data.storage import write_dataset
from p5core.errors import ConfigError
from p5core.model.build import build_network, count_items
from p5core.model.content_similarity import content_similarity
from p5core.model.network import Network
from p5core.model.warm_start import warm_start
from p5core.plugins.registry import Registry, load_plugins
from p5core.runs.folder import Run, check_run_name, create_run, free_name
from p5core.system.files import write_json, write_tensors
from p5core.workflows.train import load_network, load_run_data

__all__ = ["Updated", "update"]


@dataclass(frozen=True)
class Updated:
    """An updated run and what came to it."""

    run: Run
    n_events: int
    n_items: int
    n_users: int


def update(
    run: Run,
    events: Path,
    name: str | None = None,
    registry: Registry | None = None,
    assignments: Sequence[str] = (),
) -> Updated:
    """Join `events` to the data of a finished run and write a new run beside it that knows them.

    The item memory and the popularity are counted again, over all events, held-out ones included. The network keeps
    its weights; new items start from the mean of the others and from their content. `events` are read by the run's own
    loader and options; `assignments` such as "separator=;" change them. The figures stay those of the first run: what
    they were measured on is no longer unseen, so an updated run cannot be evaluated again. Raises P5Error; nothing is
    left behind then.
    """
    registry = registry or load_plugins()
    if name is not None:
        check_run_name(name)
    run.verify()
    data = load_run_data(run, registry)
    if not registry.get("backbone", data.experiment.model.backbone.name).uses_history:
        raise ConfigError(f"Run {run.path} knows users by trained vectors alone, so new events need new training.")
    old = load_network(run, data, registry)
    known = data.target.dataset
    experiment = _with_events(data.experiment, events, assignments, registry)
    raw = registry.choose("loader", experiment.data, "data").build().load()
    fresh, report = prepare_more(raw, experiment.prepare)
    dataset = append(known, fresh, experiment.prepare.keep)
    network = _grown(old, experiment, dataset, registry)
    folder = _write(run, name, data.experiment, dataset, network, {**report.to_dict(), "updated": run.name})
    return Updated(
        folder,
        len(dataset.events) - len(known.events),
        len(dataset.catalogue) - len(known.catalogue),
        len(dataset.users) - len(known.users),
    )


def _with_events(experiment: Experiment, events: Path, assignments: Sequence[str], registry: Registry) -> Experiment:
    tree = experiment.data.model_dump(exclude_unset=True)
    for assignment in (f"path={json.dumps(str(events))}", *assignments):
        tree = override(tree, assignment)
    spec = PartSpec.model_validate(tree)
    if "path" not in registry.get("loader", spec.name).Config.model_fields:
        raise ConfigError(
            f"Loader '{spec.name}' reads no path, so it cannot read {events}. Name one that does: --set name=table."
        )
    return experiment.model_copy(update={"data": spec})


def _grown(old: Network, experiment: Experiment, dataset: Dataset, registry: Registry) -> Network:
    """The network over the larger catalogue."""
    mean = None if old.rating_head is None else 0.0  # copied with the other weights
    network = build_network(experiment.model, registry, dataset, mean, experiment.seed)
    warm_start(network, old.state_dict(), old.row_labels())
    count_items(network, dataset.events)
    if network.memory is not None and old.memory is not None:
        network.memory.counted_by.copy_(old.memory.counted_by)
        network.memory.fill(dataset.events, content_similarity(dataset.catalogue, network.memory.config.content))
        network.memory.mixture.copy_(old.memory.mixture)
    return network


def _write(
    run: Run, name: str | None, experiment: Experiment, dataset: Dataset, network: Network, report: dict[str, Any]
) -> Run:
    def fill(folder: Run) -> None:
        write_dataset(folder.data / "target", dataset)
        write_tensors(folder.weights, network.state_dict())
        shutil.copy2(run.path / "per_user.safetensors", folder.path)
        note = f"Measured before the update of '{run.name}' with new events."
        metrics = run.metrics()
        write_json(folder.path / "metrics.json", {**metrics, "protocol": f"{metrics['protocol']} {note}"})
        write_json(folder.path / "status.json", {"state": "done", "share": 1.0})
        shutil.rmtree(folder.checkpoints)
        folder.seal()

    path = run.path.parent / (name or free_name(run.path.parent, run.name))
    return create_run(path, experiment, report, run.fold(), run.name, fill)
