"""The events as they were read, with raw ids, as a table file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from p5core.data.columns import DOMAIN, ITEM, TIMESTAMP, USER
from p5core.data.dataset import Dataset
from p5core.data.profile.report import Rejected
from p5core.errors import DataError

__all__ = ["event_frame", "rejected_frame", "write_table"]


def event_frame(dataset: Dataset) -> pd.DataFrame:
    """One row an event, by user and oldest first: raw ids in their types, times as dates, and all fields."""
    events = dataset.events
    frame = pd.DataFrame({USER: dataset.users.ids.take(events.users), ITEM: dataset.catalogue.decode(events.items)})
    frame[TIMESTAMP] = events.times.astype("datetime64[us]") if dataset.has_clock else events.times
    for name, values in events.fields.items():
        if name in dataset.field_values:
            names = np.array([*dataset.field_values[name], None], dtype=object)
            frame[name] = names[values.astype(np.int64)]
        else:
            frame[name] = values
    if len(dataset.catalogue.domains) > 1:
        frame[DOMAIN] = dataset.catalogue.frame[DOMAIN].to_numpy()[events.items]
    return frame


def rejected_frame(rejected: Iterable[Rejected]) -> pd.DataFrame:
    """One row for each cell that could not be read."""
    return pd.DataFrame(
        [(cell.place, cell.column, cell.value) for cell in rejected], columns=["place", "column", "value"]
    )


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a Parquet, CSV or JSON Lines file, by its ending, atomically; raises DataError for another ending."""
    writers: dict[str, Callable[[Path], object]] = {
        ".parquet": lambda target: frame.to_parquet(target, index=False),
        ".csv": lambda target: frame.to_csv(target, index=False),
        ".jsonl": lambda target: frame.to_json(target, orient="records", lines=True, date_format="iso", date_unit="us"),
    }
    if path.suffix not in writers:
        raise DataError(f"{path} cannot be written: its ending is '{path.suffix}'. Choose {', '.join(writers)}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".p5-") as folder:
        target = Path(folder) / path.name
        writers[path.suffix](target)
        target.replace(path)
