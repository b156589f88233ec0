"""Encoded events and what they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.catalogue import Catalogue
from p5core.data.vocabulary import Vocabulary
from p5core.errors import DataError

__all__ = ["Dataset", "Events", "Ragged"]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Lists of item codes of different lengths: list i is `values[offsets[i]:offsets[i + 1]]`."""

    values: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> npt.NDArray[np.int32]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n,) how long each list is."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """(n_values,) the list that each value belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> Ragged:
        """The lists `rows`, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[:-1][rows], lengths)
        return Ragged(self.values[index], offsets)

    @classmethod
    def of(cls, lists: list[list[int]]) -> Ragged:
        """Build from Python lists."""
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
        return cls(np.array([value for one in lists for value in one], dtype=np.int32), offsets)


@dataclass(frozen=True, eq=False)
class Events:
    """N events sorted by user, then time, then order in the source; user u owns `offsets[u]:offsets[u + 1]`."""

    offsets: npt.NDArray[np.int64]
    """(U + 1,)"""

    items: npt.NDArray[np.int32]
    """(N,) item codes"""

    times: npt.NDArray[np.int64]
    """(N,) microseconds since 1970, or a bare order where the data set has no clock"""

    ratings: npt.NDArray[np.float32] | None = None
    """(N,) in the units of the data"""

    def __len__(self) -> int:
        return len(self.items)

    @property
    def n_users(self) -> int:
        """U, users without events included."""
        return len(self.offsets) - 1

    @property
    def users(self) -> npt.NDArray[np.int32]:
        """(N,) user codes."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(self.offsets))

    @property
    def histories(self) -> Ragged:
        """The items of each user, oldest first."""
        return Ragged(self.items, self.offsets)

    def select(self, keep: npt.NDArray[np.bool_]) -> Events:
        """The events where `keep` (N,) is True; user codes stay as they are."""
        counts = np.bincount(self.users[keep], minlength=self.n_users)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        ratings = None if self.ratings is None else self.ratings[keep]
        return Events(offsets, self.items[keep], self.times[keep], ratings)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One cleaned and encoded interaction log."""

    events: Events
    users: Vocabulary
    catalogue: Catalogue
    user_frame: pd.DataFrame
    """U rows in code order: `user` and feature columns as they were loaded."""

    has_clock: bool
    """True when `events.times` are real times, False when they are a bare order."""

    @property
    def n_items(self) -> int:
        """V."""
        return len(self.catalogue)

    @property
    def event_domains(self) -> npt.NDArray[np.int16]:
        """(N,) domain code of each event: the domain of its item."""
        return self.catalogue.domain_codes[self.events.items]

    @cached_property
    def own_domains(self) -> tuple[str, ...]:
        """The domains that it has events of: their items may be recommended, and raw ids name items of them."""
        if len(self.catalogue.domains) == 1:
            return self.catalogue.domains
        return tuple(self.catalogue.domains[code] for code in np.unique(self.event_domains))

    def encode_items(self, raw: Sequence[Any], domain: str | None = None) -> npt.NDArray[np.int32]:
        """Codes of raw ids in one domain, or in whichever of its own domains has them; -1 for unknown ones.

        Raises DataError for an id that names items of several of its own domains, and for an unknown domain.
        """
        if domain is not None:
            return self.catalogue.encode(raw, domain)
        codes = self._encode_by_domain(raw)
        shared = (codes >= 0).sum(axis=0) > 1
        if shared.any():
            place = int(np.argmax(shared))
            owners = " and ".join(
                f"'{name}'" for name, code in zip(self.own_domains, codes[:, place], strict=True) if code >= 0
            )
            raise DataError(f"The id {raw[place]!r} names an item of each of the domains {owners}. Name the domain.")
        found: npt.NDArray[np.int32] = codes.max(axis=0)
        return found

    def find_items(self, raw: Sequence[Any]) -> npt.NDArray[np.int32]:
        """Codes of raw ids, -1 for unknown ones; of several items with one id the one of the last domain."""
        found: npt.NDArray[np.int32] = self._encode_by_domain(raw).max(axis=0)
        return found

    def _encode_by_domain(self, raw: Sequence[Any]) -> npt.NDArray[np.int32]:
        """(n_domains, n) codes in each of its own domains."""
        return np.stack([self.catalogue.encode(raw, domain) for domain in self.own_domains])
