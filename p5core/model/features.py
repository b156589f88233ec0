"""Features of encoders: computed once, stored with the run, shared between trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from p5core.config.experiment import Experiment
from p5core.config.parts import parts_of
from p5core.contracts.encoder import Encoder, EntityKind, Features
from p5core.data.catalogue import Entities, Users
from p5core.data.dataset import Dataset
from p5core.errors import ConfigError, DataError, RunError
from p5core.plugins.registry import Registry
from p5core.plugins.status import Chosen
from p5core.system.files import sha256, write_bytes

__all__ = [
    "FeatureCache",
    "compute_features",
    "encoder_places",
    "entities_of",
    "fingerprint",
    "read_features",
    "write_features",
    "write_shared",
]

FeatureSet = Mapping[str, Features]
"""Place of an encoder, such as "model.encoders.0" → its features."""


class FeatureCache:
    """Features that were computed before, by their fingerprint, in memory or in a folder that processes share.

    `base` are the features of a run whose weights are the start: those of the same places are extended.
    """

    def __init__(self, folder: Path | None = None, base: FeatureSet | None = None) -> None:
        self._folder = folder
        self._base = base or {}
        self._known: dict[str, Features] = {}

    def get(self, encoder: Chosen, entities: Entities, place: str) -> Features:
        """The features of the encoder at a place of the experiment, computed when they are not known yet."""
        base = self._base.get(place)
        key = fingerprint(encoder, entities) + ("" if base is None else f"-{_digest(base)}")
        path = None if self._folder is None else self._folder / f"{key}.safetensors"
        if key not in self._known:
            if path is not None and path.exists():
                self._known[key] = _read(path)
            else:
                self._known[key] = _computed(encoder, entities, place, base)
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _write(path, self._known[key], {"fingerprint": key})
        return self._known[key]


def _computed(encoder: Chosen, entities: Entities, place: str, base: Features | None) -> Features:
    try:
        if base is not None:
            return cast(Features, encoder.part.extend(encoder.config, entities, base))
        return cast(Features, encoder.part.features(encoder.config, entities))
    except OSError as error:
        raise DataError(f"{place}: the encoder '{encoder.part.name}' cannot read its files: {error}.") from None


def _digest(features: Features) -> str:
    digest = hashlib.sha256(json.dumps([dict(features.labels), dict(features.about)], default=list).encode())
    for name, array in sorted(features.arrays.items()):
        digest.update(f"\0{name}\0".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def encoder_places(experiment: Experiment, registry: Registry) -> Iterator[tuple[str, EntityKind, Chosen]]:
    """Place, kind of entities and choice of every encoder that an experiment uses."""
    places = [place for place in parts_of(experiment) if place.kind == "encoder"]
    for place in places:
        is_user = "user_encoders" in place.steps
        if is_user and registry.get("backbone", experiment.model.backbone.name).uses_history:
            continue
        chosen = registry.choose("encoder", place.spec, place.key)
        kind: EntityKind = "user" if is_user else "item"
        if kind not in chosen.part.encodes:
            able = [
                name
                for name, info in registry.parts("encoder").items()
                if kind in cast(type[Encoder], info.part).encodes
            ]
            raise ConfigError(
                f"{place.key}: '{chosen.part.name}' encodes no {kind}s. Encoders that do: {', '.join(able)}."
            )
        yield place.key, kind, chosen


def entities_of(kind: EntityKind, dataset: Dataset) -> Entities:
    """The items or the users of a data set."""
    return dataset.catalogue if kind == "item" else Users(dataset.user_frame)


def compute_features(
    experiment: Experiment, registry: Registry, dataset: Dataset, cache: FeatureCache | None = None
) -> FeatureSet:
    """The features of every encoder of an experiment."""
    cache = cache or FeatureCache()
    return {
        key: cache.get(chosen, entities_of(kind, dataset), key)
        for key, kind, chosen in encoder_places(experiment, registry)
    }


def fingerprint(encoder: Chosen, entities: Entities) -> str:
    """Hex SHA-256 of all that features may depend on: encoder, options, entities, and files that options name."""
    digest = hashlib.sha256()
    digest.update(f"{encoder.part.__module__}.{encoder.part.__qualname__}\0".encode())
    digest.update(encoder.config.model_dump_json().encode())
    digest.update(pd.util.hash_pandas_object(entities.frame.astype("str"), index=False).to_numpy().tobytes())
    for path in _paths(encoder.config):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            digest.update(f"\0{file}\0{sha256(file) if file.is_file() else ''}".encode())
    return digest.hexdigest()


def _paths(config: BaseModel) -> Iterator[Path]:
    for value in vars(config).values():
        if isinstance(value, Path):
            yield value
        elif isinstance(value, BaseModel):
            yield from _paths(value)


def write_features(
    folder: Path, experiment: Experiment, registry: Registry, dataset: Dataset, features: FeatureSet
) -> None:
    """Write one safetensors file an encoder, with its fingerprint and provenance."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, kind, chosen in encoder_places(experiment, registry):
        info = registry.info("encoder", chosen.part.name)
        metadata = {
            "encoder": info.qualified,
            "version": info.plugin.version,
            "fingerprint": fingerprint(chosen, entities_of(kind, dataset)),
        }
        _write(folder / f"{key}.safetensors", features[key], metadata)


def write_shared(folder: Path, experiment: Experiment, registry: Registry, features: FeatureSet) -> None:
    """Write what encoders need to read other entities, without those of this run."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, _, chosen in encoder_places(experiment, registry):
        info = registry.info("encoder", chosen.part.name)
        metadata = {"encoder": info.qualified, "version": info.plugin.version}
        _write(folder / f"{key}.safetensors", chosen.part.shared(features[key]), metadata)


def _write(path: Path, features: Features, metadata: Mapping[str, str]) -> None:
    text = {
        "n_rows": str(features.n_rows),
        "labels": json.dumps({name: list(labels) for name, labels in features.labels.items()}),
        "about": json.dumps(dict(features.about)),
    }
    arrays: dict[str, Any] = {name: np.ascontiguousarray(array) for name, array in features.arrays.items()}
    write_bytes(path, save(arrays, {**text, **metadata}))


def read_features(folder: Path) -> FeatureSet:
    """Read what `write_features` wrote, memory-mapped; raises RunError when a file is damaged."""
    try:
        return {path.name.removesuffix(".safetensors"): _read(path) for path in sorted(folder.glob("*.safetensors"))}
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise RunError(f"The features in {folder} cannot be read: {error}. Restore them or run again.") from None


def _read(path: Path) -> Features:
    with safe_open(path, framework="numpy") as stored:
        metadata = stored.metadata()
    return Features(
        int(metadata["n_rows"]), load_file(path), json.loads(metadata["labels"]), json.loads(metadata["about"])
    )
