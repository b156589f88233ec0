"""Raw item ids and codes, across domains: the only rule by which one becomes the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Dataset
from p5core.errors import DataError

__all__ = ["ItemIds"]


@dataclass(frozen=True, eq=False)
class ItemIds:
    """The items of the domains that a data set has events of: they may be recommended, and raw ids name them."""

    catalogue: Catalogue
    domains: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> ItemIds:
        """The ids of a data set."""
        names = dataset.catalogue.domains
        if len(names) == 1:
            return cls(dataset.catalogue, names)
        return cls(dataset.catalogue, tuple(names[code] for code in np.unique(dataset.event_domains)))

    @cached_property
    def codes(self) -> npt.NDArray[np.int32]:
        """Codes of all items that may be recommended, ascending."""
        return np.sort(np.concatenate([self.catalogue.members(domain) for domain in self.domains]))

    @property
    def is_whole(self) -> bool:
        """True if every item of the catalogue may be recommended."""
        return len(self.domains) == len(self.catalogue.domains)

    def encode(self, raw: Sequence[Any], domain: str | None = None) -> npt.NDArray[np.int32]:
        """Codes of raw ids in one domain, or in whichever has them; -1 for unknown ones.

        Raises DataError for an id that names items of several domains, and for an unknown domain.
        """
        if domain is not None:
            return self.catalogue.encode(raw, domain)
        codes = self._by_domain(raw)
        shared = (codes >= 0).sum(axis=0) > 1
        if shared.any():
            place = int(np.argmax(shared))
            pairs = zip(self.domains, codes[:, place], strict=True)
            owners = " and ".join(f"'{name}'" for name, code in pairs if code >= 0)
            raise DataError(f"The id {raw[place]!r} names an item of each of the domains {owners}. Name the domain.")
        result: npt.NDArray[np.int32] = codes.max(axis=0)
        return result

    def find(self, raw: Sequence[Any]) -> npt.NDArray[np.int32]:
        """Codes of raw ids, -1 for unknown ones; of several items with one id the one of the last domain."""
        result: npt.NDArray[np.int32] = self._by_domain(raw).max(axis=0)
        return result

    def _by_domain(self, raw: Sequence[Any]) -> npt.NDArray[np.int32]:
        """(n_domains, n) codes in each domain."""
        return np.stack([self.catalogue.encode(raw, domain) for domain in self.domains])

    def domains_of(self, codes: npt.NDArray[np.integer[Any]]) -> list[str] | list[None]:
        """The domain of each item; None for each where there is only one."""
        if len(self.domains) == 1:
            return [None] * len(codes)
        return [self.catalogue.domains[code] for code in self.catalogue.domain_codes[codes]]
