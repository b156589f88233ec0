"""Data made up from a seed, with a structure that can be learnt."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from p5core.config.base import Config
from p5core.contracts.loader import Loader
from p5core.data.columns import DOMAIN, ITEM, RATING, TIMESTAMP, TITLE, USER
from p5core.data.raw import RawData

__all__ = ["Synthetic", "SyntheticConfig"]

Ints = npt.NDArray[np.int64]

FIRST_TIME = 1_700_000_000
YEAR = 365 * 86_400
MEAN_GAP_SECONDS = 3_600


class SyntheticConfig(Config):
    """Options of the synthetic loader."""

    n_users: int = Field(1_000, ge=1, le=100_000_000)
    """Number of users."""

    n_items: int = Field(500, ge=1, le=10_000_000)
    """Number of items."""

    n_events: int = Field(20_000, ge=1, le=100_000_000)
    """Number of events; each user has at least about half the mean."""

    n_clusters: int = Field(20, ge=1, le=100_000)
    """Number of item clusters; the next event tends to come from the following cluster."""

    predictability: float = Field(0.8, ge=0, le=1)
    """Probability of moving to the following cluster rather than to a random one."""

    popularity_skew: float = Field(1.0, ge=0)
    """Zipf exponent of popularity within a cluster; 0: all equally popular."""

    ratings: bool = False
    """Give events ratings from 1 to 5."""

    id_kind: Literal["int64", "string"] = "int64"
    """Type of user and item ids."""

    domain: str | None = Field(None, min_length=1)
    """Domain of all items."""

    seed: int = Field(0, ge=0)
    """Random seed; equal seeds and options give equal data."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.n_clusters > self.n_items:
            raise ValueError(f"n_clusters = {self.n_clusters} is more than n_items = {self.n_items}; lower it")
        return self


class Synthetic(Loader):
    """Synthetic events: a Markov chain over clusters of items with Zipf popularity.

    Items have a title, a `category` (the cluster, for one in ten another), `tags` (the category and a chance colour, as
    "a|b") and a `price` that goes with the cluster. Item numbers say nothing: they are shuffled.
    """

    name = "synthetic"
    path_option = None
    Config = SyntheticConfig
    config: SyntheticConfig

    def load(self) -> RawData:
        """Make the events, one user after the other, each in order of time."""
        config = self.config
        rng = np.random.default_rng(config.seed)
        numbers = rng.permutation(config.n_items)
        items = _items(config, numbers, rng)
        users = _users(config, rng)
        places = _places(config, users, rng)
        events: dict[str, Any] = {
            USER: _ids(users, config.n_users, "u", config.id_kind),
            ITEM: _ids(numbers[places], config.n_items, "i", config.id_kind),
            TIMESTAMP: _times(users, rng),
        }
        if config.ratings:
            events[RATING] = _ratings(config, users, places, rng)
        if config.domain:
            events[DOMAIN] = config.domain
        return RawData(pd.DataFrame(events), items=items, source=f"synthetic data of seed {config.seed}", time_unit="s")


def _users(config: SyntheticConfig, rng: np.random.Generator) -> Ints:
    """(E,) user of each event, ascending; half of the events are shared out evenly, the others as activity goes."""
    even = config.n_events // config.n_users // 2
    activity = rng.lognormal(0.0, 1.0, config.n_users)
    lengths = even + rng.multinomial(config.n_events - even * config.n_users, activity / activity.sum())
    return np.repeat(np.arange(config.n_users), lengths)


def _places(config: SyntheticConfig, users: Ints, rng: np.random.Generator) -> Ints:
    """(E,) item of each event before the shuffle: place p is in cluster p mod C, at popularity rank p div C."""
    n = config.n_clusters
    steps = np.where(rng.random(len(users)) < config.predictability, 1, rng.integers(0, n, len(users)))
    begins = np.flatnonzero(np.diff(users, prepend=-1))
    steps[begins] = rng.integers(0, n, len(begins))  # so that users begin anywhere and one running sum serves all
    clusters = np.cumsum(steps) % n
    share = np.arange(1, -(-config.n_items // n) + 1) ** -config.popularity_skew
    ranks = np.searchsorted(np.cumsum(share) / share.sum(), rng.random(len(users)))
    places = ranks * n + clusters
    return np.where(places < config.n_items, places, clusters)  # the last rank is not full


def _times(users: Ints, rng: np.random.Generator) -> Ints:
    """(E,) seconds since 1970: each user starts within a year and goes on with exponential gaps."""
    begins = np.flatnonzero(np.diff(users, prepend=-1))
    elapsed = np.cumsum(1 + rng.exponential(MEAN_GAP_SECONDS, len(users)).astype(np.int64))
    starts = FIRST_TIME + rng.integers(0, YEAR, len(begins)) - elapsed[begins]
    return elapsed + np.repeat(starts, np.diff(begins, append=len(users)))


def _ratings(config: SyntheticConfig, users: Ints, places: Ints, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(E,) whole numbers from 1 to 5."""
    taste = rng.normal(0.0, 0.7, config.n_users)[users]
    quality = rng.normal(0.0, 0.7, config.n_items)[places]
    return np.clip(np.rint(3.4 + taste + quality + rng.normal(0.0, 0.5, len(users))), 1, 5).astype(np.float32)


def _items(config: SyntheticConfig, numbers: Ints, rng: np.random.Generator) -> pd.DataFrame:
    """Rows in order of place."""
    clusters = np.arange(config.n_items) % config.n_clusters
    anywhere = rng.integers(0, config.n_clusters, config.n_items)
    shown = np.where(rng.random(config.n_items) < 0.9, clusters, anywhere)
    category = pd.Series([f"category {cluster}" for cluster in shown], dtype="str")
    colour = pd.Series(rng.choice(["red", "green", "blue"], config.n_items), dtype="str")
    return pd.DataFrame(
        {
            ITEM: _ids(numbers, config.n_items, "i", config.id_kind),
            TITLE: [
                f"Item {number + 1} of cluster {cluster}" for number, cluster in zip(numbers, clusters, strict=True)
            ],
            "category": category,
            "tags": category + "|" + colour,
            "price": np.round(10 * np.exp(clusters / config.n_clusters + rng.normal(0.0, 0.1, config.n_items)), 2),
        }
    )


def _ids(numbers: Ints, n: int, letter: str, kind: Literal["int64", "string"]) -> Any:
    """Ids from 1, or such as "i007"."""
    if kind == "int64":
        return numbers + 1
    digits = len(str(n))
    return pd.array([f"{letter}{number + 1:0{digits}d}" for number in range(n)], dtype="str").take(numbers)
