"""Items by words of their titles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.data.columns import ITEM, TITLE
from p5core.data.dataset import Dataset
from p5core.data.ids import ItemIds

__all__ = ["ItemSearch"]


@dataclass(frozen=True, eq=False)
class ItemSearch:
    """Finds items of the domains that a data set has events of."""

    dataset: Dataset

    @cached_property
    def _ids(self) -> ItemIds:
        return ItemIds.of(self.dataset)

    @cached_property
    def _codes(self) -> npt.NDArray[np.int32]:
        """(n,) codes of the items of these domains, most events first."""
        members = self._ids.codes
        counts = np.bincount(self.dataset.events.items, minlength=self.dataset.n_items)[members]
        return members[np.argsort(-counts, kind="stable")]

    @cached_property
    def _texts(self) -> pd.Series[str]:
        """(n,) title, or id, of each of them, to be searched."""
        frame = self.dataset.catalogue.frame.iloc[self._codes]
        ids = frame[ITEM].astype("str")
        texts = frame[TITLE].where(frame[TITLE].notna(), ids).astype("str") if TITLE in frame else ids
        return texts.str.casefold().reset_index(drop=True)

    def find(self, text: str, n: int) -> list[Any]:
        """Raw ids of at most `n` items whose titles hold all words of a text, most popular first.

        The item whose id is the text comes before them; an empty text finds the most popular items.
        """
        keep = np.ones(len(self._codes), dtype=np.bool_)
        for word in text.casefold().split():
            keep &= self._texts.str.contains(word, regex=False).to_numpy(dtype=np.bool_)
        own = self._ids.find([text.strip()])
        codes = [*own[own >= 0].tolist(), *self._codes[keep][: n + 1].tolist()]
        return self.dataset.catalogue.decode(np.array(list(dict.fromkeys(codes))[:n], dtype=np.int32))

    def titles(self, raw: list[Any]) -> list[str]:
        """Titles of raw ids; an unknown id, or one without a title, is its own."""
        codes = self._ids.find(raw)
        titles = self.dataset.catalogue.titles(np.maximum(codes, 0)) or [str(raw_id) for raw_id in raw]
        return [
            title if code >= 0 else str(raw_id) for title, code, raw_id in zip(titles, codes.tolist(), raw, strict=True)
        ]
