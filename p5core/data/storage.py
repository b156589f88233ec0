"""A prepared data set as files: Parquet for ids and features, safetensors for arrays."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from p5core.data.catalogue import Catalogue
from p5core.data.columns import RATING, USER
from p5core.data.dataset import Dataset, Events
from p5core.data.vocabulary import Vocabulary
from p5core.errors import RunError
from p5core.system.files import write_bytes

__all__ = ["dataset_hash", "read_dataset", "write_dataset"]

FIELD = "field."
"""Beginning of the names of arrays that hold fields of events."""


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write `items.parquet`, `users.parquet` and `events.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "items.parquet", dataset.catalogue.frame.to_parquet(index=False))
    write_bytes(folder / "users.parquet", dataset.user_frame.to_parquet(index=False))
    events = dataset.events
    arrays: dict[str, npt.NDArray[Any]] = {"offsets": events.offsets, "items": events.items, "times": events.times}
    arrays |= {FIELD + name: values for name, values in events.fields.items()}
    metadata = {"has_clock": str(dataset.has_clock), "field_values": json.dumps(dict(dataset.field_values))}
    write_bytes(folder / "events.safetensors", save(arrays, metadata))


def dataset_hash(dataset: Dataset) -> str:
    """Hex SHA-256 of the events, items and users of a data set."""
    digest, events = hashlib.sha256(), dataset.events
    arrays: dict[str, npt.NDArray[Any]] = {"offsets": events.offsets, "items": events.items, "times": events.times}
    for name, array in {**arrays, **events.fields}.items():
        digest.update(f"\0{name}\0{array.dtype}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    for frame in (dataset.catalogue.frame, dataset.user_frame):
        digest.update(pd.util.hash_pandas_object(frame.astype("str"), index=False).to_numpy().tobytes())
    return digest.hexdigest()


def read_dataset(folder: Path) -> Dataset:
    """Read what `write_dataset` wrote; raises RunError when a file is missing or damaged."""
    try:
        return _read(folder)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise RunError(f"The data in {folder} cannot be read: {error}. Restore it from a copy or run again.") from None


def _read(folder: Path) -> Dataset:
    arrays = load_file(folder / "events.safetensors")
    with safe_open(folder / "events.safetensors", framework="numpy") as stored:
        metadata = stored.metadata()
    values = {name: tuple(labels) for name, labels in json.loads(metadata.get("field_values", "{}")).items()}
    users = pd.read_parquet(folder / "users.parquet")
    fields = {name.removeprefix(FIELD): array for name, array in arrays.items() if name.startswith(FIELD)}
    if "ratings" in arrays:  # as P5 0.1 wrote them
        fields[RATING] = arrays["ratings"]
    events = Events(arrays["offsets"], arrays["items"], arrays["times"], fields)
    catalogue = Catalogue(pd.read_parquet(folder / "items.parquet"))
    has_clock = metadata["has_clock"] == "True"
    return Dataset(events, Vocabulary.of(pd.Index(users[USER])), catalogue, users, has_clock, values)
