"""Raw ids and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from p5core.errors import DataError

__all__ = ["PAD_INT", "PAD_STRING", "IdKind", "Vocabulary"]

IdKind = Literal["string", "int64"]

PAD_STRING = ""
"""What fills unused places of a history of string ids; so no string id may be empty."""

PAD_INT = int(np.iinfo(np.int64).min)
"""What fills unused places of a history of integer ids; so no integer id may be this one."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Unique raw ids in the order of their codes 0..n-1; raw ids stay what they are, strings or 64-bit integers."""

    ids: pd.Index[Any]

    def __post_init__(self) -> None:
        if not self.ids.is_unique:
            twice = self.ids[self.ids.duplicated()][0]
            raise DataError(f"The id {twice!r} occurs twice in a vocabulary; ids must be unique.")

    @classmethod
    def of(cls, ids: Sequence[Any] | npt.NDArray[Any] | pd.Index[Any]) -> Vocabulary:
        """Build from ids in code order: int64 when all are integers, text otherwise."""
        values = pd.Index(ids)
        if not pd.api.types.is_integer_dtype(values.dtype):
            return cls(values.astype("str"))
        return cls(values.astype("int64"))

    @property
    def kind(self) -> IdKind:
        """Type of the raw ids."""
        return "int64" if pd.api.types.is_integer_dtype(self.ids.dtype) else "string"

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, raw: Sequence[Any] | npt.NDArray[Any] | pd.Index[Any]) -> npt.NDArray[np.int32]:
        """Codes of raw ids, -1 for unknown ones. Text is read as a number where the ids are integers."""
        return self.ids.get_indexer(self._as_ids(raw)).astype(np.int32)

    def decode(self, codes: npt.NDArray[np.integer[Any]]) -> list[Any]:
        """Raw ids of codes, as plain `str` or `int`."""
        return [self._plain[code] for code in np.asarray(codes).tolist()]

    @cached_property
    def _plain(self) -> list[Any]:
        return self.ids.tolist()

    def _as_ids(self, raw: Any) -> pd.Index[Any]:
        values = pd.Index(raw, dtype=object)
        if self.kind == "string":
            texts: pd.Index[Any] = values.map(str).astype("str")
            return texts
        numbers = pd.to_numeric(pd.Series(values), errors="coerce")
        return pd.Index(numbers.where(numbers.notna(), PAD_INT).astype("int64"))
