"""From a model section and a data set to a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from p5core.config.experiment import ModelConfig
from p5core.data.dataset import Dataset, Events
from p5core.model.content_similarity import content_columns
from p5core.model.cooccurrence import Memory
from p5core.model.item_embeddings import ItemTable
from p5core.model.network import Labels, Network
from p5core.plugins.registry import Registry

__all__ = ["build_network", "count_items"]

SPARSE_FROM = 50_000
"""Rows of an embedding from which on its gradients hold the rows of the batch alone."""


def build_network(
    config: ModelConfig, registry: Registry, dataset: Dataset, rating_mean: float | None, seed: int
) -> Network:
    """Build an untrained network for the catalogue of `dataset`; equal seeds give equal weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoders = [
            registry.choose("encoder", spec, f"model.encoders {spec.name}").build(dataset.catalogue, config.width)
            for spec in config.encoders
        ]
        chosen = registry.choose("backbone", config.backbone, "model.backbone")
        # A bidirectional backbone reads one more position: the mask at the end that asks for the next item.
        length = config.max_length + (0 if chosen.part.causal else 1)
        labels = Labels([str(one) for one in dataset.users.ids], dataset.catalogue.labels)
        table = ItemTable(encoders, config.combine, config.unit_items)
        if config.memory is not None:
            content_columns(dataset.catalogue, config.memory.content)  # refuses what is not there
        memory = None if config.memory is None else Memory(len(dataset.catalogue), config.memory)
        network = Network(table, chosen.build(config.width, length), labels, config.dropout, rating_mean, memory)
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = module.num_embeddings >= SPARSE_FROM
    return network


def count_items(network: Network, events: Events) -> None:
    """Tell the item table how often each item occurs among the training events."""
    counts = np.bincount(events.items, minlength=network.table.n_items)
    network.table.counts.copy_(torch.from_numpy(counts))
