"""The items of one or many domains, with what is known about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.columns import DOMAIN, ITEM, TITLE, USER
from p5core.data.vocabulary import IdKind, Vocabulary
from p5core.errors import DataError

__all__ = ["Catalogue", "Entities", "Users"]


class Entities(Protocol):
    """Items or users in code order, with their features."""

    @property
    def frame(self) -> pd.DataFrame:
        """One row an entity: ids and feature columns."""

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""

    @property
    def index(self) -> pd.Index[Any]:
        """One unique label an entity, for data sets that share some of them."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Users:
    """U users in code order."""

    frame: pd.DataFrame
    """U rows: `user` and feature columns as they were loaded."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return [column for column in self.frame.columns if column != USER]

    @property
    def index(self) -> pd.Index[Any]:
        """(U,) raw ids."""
        index: pd.Index[Any] = pd.Index(self.frame[USER])
        return index


@dataclass(frozen=True, eq=False)
class Catalogue:
    """V items in code order. An id is unique within its domain; two domains may use the same id for different items."""

    frame: pd.DataFrame
    """V rows in code order: `item`, `domain` and, if known, `title` and feature columns as they were loaded."""

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains, in order of their codes."""
        return tuple(dict.fromkeys(self.frame[DOMAIN].tolist()))

    @cached_property
    def domain_codes(self) -> npt.NDArray[np.int16]:
        """(V,) code of each item's domain."""
        return pd.Index(self.domains).get_indexer(pd.Index(self.frame[DOMAIN])).astype(np.int16)

    @property
    def id_kind(self) -> IdKind:
        """Type of the raw item ids."""
        return "int64" if pd.api.types.is_integer_dtype(self.frame[ITEM].dtype) else "string"

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return [column for column in self.frame.columns if column not in (ITEM, DOMAIN, TITLE)]

    @property
    def index(self) -> pd.MultiIndex:
        """(V,) domain and raw id, which name an item among all domains."""
        return pd.MultiIndex.from_frame(self.frame[[DOMAIN, ITEM]])

    def members(self, domain: str | None = None) -> npt.NDArray[np.int32]:
        """Codes of the items of one domain; None takes the only one."""
        return self._lookup(domain)[0]

    def encode(self, raw: Sequence[Any] | npt.NDArray[Any], domain: str | None = None) -> npt.NDArray[np.int32]:
        """Codes of raw ids of one domain, -1 for unknown ones; `domain` may be left out when there is only one."""
        members, vocabulary = self._lookup(domain)
        inner = vocabulary.encode(raw)
        return np.where(inner >= 0, members[np.maximum(inner, 0)], -1).astype(np.int32)

    def decode(self, codes: npt.NDArray[np.integer[Any]]) -> list[Any]:
        """Raw ids of codes, as plain `str` or `int`."""
        plain: list[Any] = self.frame[ITEM].iloc[np.asarray(codes)].tolist()
        return plain

    def titles(self, codes: npt.NDArray[np.integer[Any]]) -> list[str] | None:
        """Titles of items; None when the catalogue has none. An item without a title is called by its id."""
        if TITLE not in self.frame:
            return None
        rows = self.frame.iloc[np.asarray(codes)]
        return rows[TITLE].where(rows[TITLE].notna(), rows[ITEM].astype("str")).astype("str").tolist()

    def _lookup(self, domain: str | None) -> tuple[npt.NDArray[np.int32], Vocabulary]:
        if domain is None and len(self.domains) > 1:
            raise DataError(f"The catalogue has {len(self.domains)} domains: {', '.join(self.domains)}. Name one.")
        name = self.domains[0] if domain is None else domain
        if name not in self.domains:
            raise DataError(f"Unknown domain '{name}'. Known: {', '.join(self.domains)}.")
        return self._lookups[name]

    @cached_property
    def _lookups(self) -> dict[str, tuple[npt.NDArray[np.int32], Vocabulary]]:
        lookups = {}
        for code, name in enumerate(self.domains):
            members = np.flatnonzero(self.domain_codes == code).astype(np.int32)
            lookups[name] = (members, Vocabulary.of(pd.Index(self.frame[ITEM].iloc[members])))
        return lookups
