"""From an experiment and a data set to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from p5core.config.experiment import Experiment
from p5core.contracts.encoder import Encoder, Features
from p5core.contracts.task import Task, TaskInfo
from p5core.data.catalogue import Users
from p5core.data.dataset import Dataset, Events
from p5core.errors import ConfigError, PluginError, UnknownPartError
from p5core.model.item_embeddings import EntityEmbeddings, ItemEmbeddings
from p5core.model.network import Network
from p5core.model.without_network import popularity_network
from p5core.plugins.registry import Registry

__all__ = ["build_network", "count_items", "serving_tasks"]

SPARSE_FROM = 50_000
"""Number of rows from which an embedding has sparse gradients."""


def build_network(
    experiment: Experiment, registry: Registry, dataset: Dataset, train: Events, features: Mapping[str, Features]
) -> Network:
    """Build an untrained network; equal experiments and data give equal weights."""
    config = experiment.model
    if config.scorer is not None:
        return popularity_network(dataset.n_items, config.max_length, _domains(dataset))
    with torch.random.fork_rng():
        torch.manual_seed(experiment.seed)
        items = ItemEmbeddings(
            _encoders("model.encoders", experiment, registry, features),
            config.combine,
            config.unit_items,
            _domains(dataset),
        )
        chosen = registry.choose("backbone", config.backbone, "model.backbone")
        # A bidirectional backbone reads one more position: the mask at the end that asks for the next item.
        backbone = chosen.build(config.width, config.max_length + (0 if chosen.part.causal else 1))
        users = None
        if not chosen.part.uses_history:
            users = EntityEmbeddings(_encoders("model.user_encoders", experiment, registry, features))
        network = Network(items, backbone, config.dropout, users)
        info = TaskInfo(
            config.width,
            dataset.n_items,
            len(dataset.users),
            chosen.part,
            train,
            dataset.catalogue,
            Users(dataset.user_frame),
        )
        _add_task_layers(network, serving_tasks(experiment, registry), info)
    _make_sparse(network)
    return network


def _add_task_layers(network: Network, tasks: Sequence[Task], info: TaskInfo) -> None:
    """Let tasks make their layers, each task once; raises ConfigError for one with two sets of options."""
    configs: dict[str, Any] = {}
    for task in tasks:
        layers = task.layers(info)
        if layers is None:
            continue
        if not isinstance(layers, nn.Module):
            raise PluginError(f"Task '{task.name}': `layers` returned {layers!r}. Return a torch.nn.Module or None.")
        if task.name not in configs:
            configs[task.name] = task.config
            network.add_task(task.name, layers, task.row_labels())
        elif configs[task.name] != task.config:
            raise ConfigError(
                f"Task '{task.name}' has layers of its own and stands twice with different options. Give it the same "
                "options in every place."
            )


def _encoders(
    place: str, experiment: Experiment, registry: Registry, features: Mapping[str, Features]
) -> list[Encoder]:
    specs = experiment.model.encoders if place == "model.encoders" else experiment.model.user_encoders
    return [
        registry.choose("encoder", spec, f"{place}.{nth}").build(features[f"{place}.{nth}"], experiment.model.width)
        for nth, spec in enumerate(specs)
    ]


def _domains(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int16]] | None:
    return dataset.catalogue.domain_codes if len(dataset.catalogue.domains) > 1 else None


def serving_tasks(experiment: Experiment, registry: Registry) -> list[Task]:
    """The tasks of all stages without their losses, those left out whose plugin is not installed any more."""
    tasks = []
    for stage in experiment.stages:
        for spec in stage.tasks:
            try:
                tasks.append(registry.choose("task", spec, f"task {spec.name}").build(None))
            except UnknownPartError:
                continue
    return tasks


def _make_sparse(network: Network) -> None:
    """Use sparse gradients for large embeddings."""
    for module in network.modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings >= SPARSE_FROM:
            module.sparse = True


def count_items(network: Network, *trained: Events) -> None:
    """Set the counts of training events of each item, in one or several logs."""
    counts = sum(np.bincount(events.items, minlength=network.items.n_items) for events in trained)
    network.items.count(np.asarray(counts))
