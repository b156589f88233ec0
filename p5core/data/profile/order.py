"""The order of events in a log without a clock."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.columns import ITEM, RATING
from p5core.data.dataset import Dataset
from p5core.system.messages import Message

__all__ = ["file_order", "order_warnings", "repeated_targets"]

NEARLY_ALL = 0.9
LEAST_EVENTS = 3
"""Events of a history whose order says something: two are in order by chance."""


def file_order(dataset: Dataset) -> str | None:
    """ "item" or "rating" if nearly all histories ascend or descend by it and there is no clock; else None."""
    if dataset.has_clock:
        return None
    keys: dict[str, npt.NDArray[np.generic]] = {ITEM: dataset.events.items}
    if RATING in dataset.events.fields:
        keys[RATING] = dataset.events.fields[RATING]
    return next((name for name, values in keys.items() if _is_sorted(dataset, values)), None)


def repeated_targets(dataset: Dataset) -> float:
    """Share of the users with two events or more whose last event is of an item that they had before."""
    events = dataset.events
    ends = events.offsets[1:][np.diff(events.offsets) > 1]
    pairs = events.users.astype(np.int64) * dataset.n_items + events.items
    is_first = np.zeros(len(pairs), dtype=bool)
    is_first[np.unique(pairs, return_index=True)[1]] = True
    return float((~is_first[ends - 1]).mean()) if len(ends) else 0.0


def _is_sorted(dataset: Dataset, values: npt.NDArray[np.generic]) -> bool:
    """True if nearly all long histories are sorted by a value that varies within them."""
    offsets = dataset.events.offsets
    steps = np.sign(np.diff(values.astype(np.float64)))
    steps = np.where(np.diff(dataset.events.users) == 0, steps, np.nan)
    of_user = pd.DataFrame({"user": dataset.events.users[1:], "step": steps}).dropna()
    extremes = of_user.groupby("user")["step"].agg(["min", "max"])
    long = np.flatnonzero(np.diff(offsets) >= LEAST_EVENTS)
    extremes = extremes[extremes.index.isin(long)]
    varied = extremes[(extremes["min"] != 0) | (extremes["max"] != 0)]
    if len(varied) < max(1, 0.5 * len(extremes)):
        return False
    return bool(max((varied["min"] >= 0).mean(), (varied["max"] <= 0).mean()) > NEARLY_ALL)


def order_warnings(dataset: Dataset) -> list[str]:
    """A warning when the order of the rows is that of ids or ratings, and not that of time."""
    key = file_order(dataset)
    if key is None:
        return []
    sentence = (
        "there are no times, and nearly all histories are sorted by {key}: their order says nothing of time, so a last "
        "event is no later than the others. Name the column of the times, or split at random"
    )
    return [Message(sentence, key=key)]
