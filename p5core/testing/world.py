"""A small synthetic world that parts are tested in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from p5core.data.catalogue import Catalogue, Users
from p5core.data.columns import RATING, USER
from p5core.data.dataset import Events

__all__ = ["World", "read_fields", "toy_world"]

GENRES = ("drama", "war", "comedy", "western")


@dataclass(frozen=True, eq=False)
class World:
    """Items, and events in which every item occurs exactly once, so that an item tells which event it was."""

    catalogue: Catalogue
    events: Events

    @property
    def users(self) -> Users:
        """The users of the events, with a feature `age` that some lack."""
        codes = np.arange(self.events.n_users)
        return Users(
            pd.DataFrame({USER: [f"user {code}" for code in codes], "age": np.where(codes % 5, codes + 20.0, np.nan)})
        )

    def with_fields(self, kinds: Mapping[str, str]) -> World:
        """The world with fields of the events: 0 or 1 where their kind is "probability", ratings otherwise."""
        ratings = self.events.fields.get(RATING, self.events.items % 5 + 1).astype(np.float32)
        fields = {
            name: (ratings > 3).astype(np.float32) if kind == "probability" else ratings
            for name, kind in kinds.items()
            if name not in self.events.fields
        }
        return replace(self, events=replace(self.events, fields={**self.events.fields, **fields}))

    @property
    def n_items(self) -> int:
        """V."""
        return len(self.catalogue)


def read_fields(part: Any) -> dict[str, str]:
    """Name → kind of the event fields that a task reads and predicts; none for other parts."""
    outputs = getattr(part, "outputs", {})
    predicted = {output.field: output.kind for output in outputs.values() if output.field}
    return {**dict.fromkeys(getattr(part, "fields", ()), "value"), **predicted}


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
            "sound": pd.Series([row.tolist() for row in rng.normal(size=(n, 6))], dtype=object).mask(
                rng.random(n) < 0.2
            ),
        }
    )
