"""A small synthetic world that parts are tested in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from p5core.data.catalogue import Catalogue
from p5core.data.columns import RATING
from p5core.data.dataset import Events

__all__ = ["World", "toy_world"]

GENRES = ("drama", "war", "comedy", "western")


@dataclass(frozen=True, eq=False)
class World:
    """Items, and events in which every item occurs exactly once, so that an item tells which event it was."""

    catalogue: Catalogue
    events: Events

    @property
    def n_items(self) -> int:
        """V."""
        return len(self.catalogue)


@cache
def toy_world() -> World:
    """12 users with histories of 1 to 9 events among 60 items; features as the package's docstring says."""
    rng = np.random.default_rng(0)
    lengths = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 6, 5, 4])
    n = int(lengths.sum())
    events = Events(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=rng.permutation(n).astype(np.int32),
        times=np.arange(n, dtype=np.int64) * 1_000_000,
        fields={RATING: rng.integers(1, 6, n).astype(np.float32)},
    )
    return World(Catalogue(_items(n, rng)), events)


def _items(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Items with features of each kind, a fifth of them missing."""
    several = [[str(genre) for genre in rng.choice(GENRES, rng.integers(1, 4), replace=False)] for _ in range(n)]
    missing = rng.random((4, n)) < 0.2
    return pd.DataFrame(
        {
            "item": pd.Series([f"item {code}" for code in range(n)], dtype="str"),
            "domain": "default",
            "title": [f"Title of {code}" for code in range(n)],
            "genres": pd.Series(["|".join(genres) for genres in several], dtype=object).mask(missing[0]),
            "tags": pd.Series(
                [[] if gone else genres for genres, gone in zip(several, missing[1], strict=True)], dtype=object
            ),
            "price": np.where(missing[2], np.nan, rng.lognormal(2.0, 1.0, n)),
            "year": pd.Series(rng.integers(1950, 2020, n)).astype("Int64").mask(missing[3]),
        }
    )
