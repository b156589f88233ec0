"""Runs and bases whose weights another run starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from safetensors.torch import load_file

from p5core.config.base import PartSpec, has_paths
from p5core.config.experiment import ModelConfig
from p5core.contracts.encoder import Features
from p5core.data.catalogue import Catalogue
from p5core.data.columns import DOMAIN, ITEM
from p5core.data.dataset import Dataset
from p5core.data.storage import read_dataset
from p5core.errors import ConfigError, RunError
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.model.features import read_features
from p5core.model.network import Network
from p5core.model.title_match import match_by_title
from p5core.model.warm_start import Source, entity_index, warm_start
from p5core.plugins.registry import Registry
from p5core.runs.base import Base, is_base, open_base
from p5core.runs.create import open_run
from p5core.runs.run import Run
from p5core.system.messages import Message

__all__ = [
    "Pretrained",
    "network_differences",
    "network_options",
    "open_source",
    "refuse_another",
    "start_from",
    "without_files",
]

NETWORK = ("width", "max_length", "combine", "unit_items", "encoders", "user_encoders", "backbone")
"""Options of the section [model] that give a network its shape."""


def network_options(model: ModelConfig) -> dict[str, Any]:
    """The options of the section [model] that pre-trained weights need."""
    options = model.model_dump(mode="json", by_alias=True)
    return {name: options[name] for name in NETWORK}


def without_files(spec: PartSpec, registry: Registry) -> PartSpec:
    """An encoder without the options that name files."""
    fields = registry.get("encoder", spec.name).Config.model_fields
    files = {name for name, field in fields.items() if has_paths(field)}
    options = {name: value for name, value in spec.options.items() if name not in files}
    return PartSpec.model_validate({"name": spec.name, **options})


def network_differences(first: ModelConfig, second: ModelConfig) -> list[str]:
    """The options that give two networks another shape."""
    own, other = network_options(first), network_options(second)
    return [name for name in NETWORK if own[name] != other[name]]


class Pretrained(Protocol):
    """Weights to start from, with what the new run must know of them before it is built."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def model(self) -> Mapping[str, Any]:
        """The options of the section [model] that give its network its shape."""

    def seal_hash(self) -> str:
        """SHA-256 of its manifest."""

    def dataset(self) -> Dataset | None:
        """The data whose items keep their codes; None if it has none."""

    def features(self) -> Mapping[str, Features]:
        """The features that encoders extend."""

    def catalogue(self) -> Catalogue | None:
        """Its items, if they have vectors of their own."""

    def domains(self) -> Sequence[str]:
        """The domains of items that it was trained on."""

    def weights(self, registry: Registry) -> Source:
        """The trained weights."""


@dataclass(frozen=True)
class _PretrainedRun:
    run: Run

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def model(self) -> Mapping[str, Any]:
        return network_options(self.run.experiment().model)

    def seal_hash(self) -> str:
        return self.run.seal_hash()

    def dataset(self) -> Dataset:
        return read_dataset(self.run.data / "target")

    def catalogue(self) -> Catalogue:
        return self.dataset().catalogue

    def domains(self) -> Sequence[str]:
        return self.catalogue().domains

    def features(self) -> Mapping[str, Features]:
        return read_features(self.run.features)

    def weights(self, registry: Registry) -> Source:
        data = load_run_data(self.run, registry)
        network = load_model(self.run, data, registry).network.cpu()
        return Source(network.state_dict(), network.row_labels(), entity_index(data.target.dataset))


@dataclass(frozen=True)
class _PretrainedBase:
    base: Base

    @property
    def path(self) -> Path:
        return self.base.path

    @property
    def model(self) -> Mapping[str, Any]:
        return self.base.info().model

    def seal_hash(self) -> str:
        return self.base.seal_hash()

    def dataset(self) -> None:
        return None

    def catalogue(self) -> Catalogue | None:
        return Catalogue(pd.read_parquet(self.base.items)) if self.base.info().keeps_items else None

    def domains(self) -> Sequence[str]:
        return [domain for record in self.base.info().trained_on for domain in record.domains]

    def features(self) -> Mapping[str, Features]:
        return read_features(self.base.features)

    def weights(self, registry: Registry) -> Source:
        """Rows of items and users that are not kept have one row, their mean, which belongs to nobody."""
        catalogue = self.catalogue()
        nothing = pd.MultiIndex.from_tuples([(None, None)], names=[DOMAIN, ITEM])
        labels: Any = self.base.info().row_labels
        items = nothing if catalogue is None else catalogue.index
        return Source(load_file(self.base.weights), labels, {"item": items, "user": pd.Index([None])})


def open_source(name: str, runs: Path) -> Pretrained:
    """The run or base to start from: the path of a base, a name among the runs, or the path of a run.

    Raises RunError for one that is not there, not finished or damaged.
    """
    if is_base(Path(name)):
        return _PretrainedBase(open_base(Path(name)))
    if not (runs / name).exists() and not Path(name).exists():
        raise RunError(f"There is neither a base nor a run {name}, and no run of this name in {runs}.")
    run = open_run(runs / name if (runs / name).exists() else Path(name))
    run.verify()
    return _PretrainedRun(run)


def refuse_another(run: Run, source: Pretrained) -> None:
    """Raise RunError unless a run started from exactly this one."""
    first = run.info().source
    if first is not None and first != source.seal_hash():
        raise RunError(
            f"Run {run.path} started from {source.path}, which is another one now. Put the former one back, or start a "
            "new run with another --name."
        )


def start_from(
    network: Network, dataset: Dataset, source: Pretrained, registry: Registry, match: Literal["id", "title"] = "id"
) -> Message:
    """Copy pre-trained weights into a network for other data; returns a sentence on the items that are known.

    Items of equal domain and id keep their vectors; with `match` = "title" those of equal title as well.
    """
    entities, catalogue = entity_index(dataset), source.catalogue()
    weights = source.weights(registry)
    is_target = np.isin(dataset.catalogue.domain_codes, np.unique(dataset.event_domains))
    n_known = n_titles = 0
    if catalogue is not None:
        n_known = int((dataset.catalogue.index.isin(catalogue.index) & is_target).sum())
    if match == "title":
        if catalogue is None:
            raise ConfigError(
                f"stages.0.match = 'title': {source.path} keeps no items. Write it with --keep-items, or match by id."
            )
        entities["item"], is_matched = match_by_title(dataset.catalogue, catalogue, is_target)
        n_titles = int((is_matched & is_target).sum())
    warm_start(network, entities, weights)
    return Message(
        "starts from {path}: of {n} items {n_known} are known by their ids and {n_titles} by their titles",
        path=source.path,
        n=f"{int(is_target.sum()):,}",
        n_known=f"{n_known:,}",
        n_titles=f"{n_titles:,}",
    )
