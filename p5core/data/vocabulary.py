"""Raw ids and their codes."""

from __future__ import annotations

import re
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
"""Padding of histories of string ids; no string id may be empty."""

PAD_INT = int(np.iinfo(np.int64).min)
"""Padding of histories of integer ids; no integer id may equal it."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Unique raw ids in the order of their codes 0..n-1; raw ids stay what they are, strings or 64-bit integers."""

    ids: pd.Index[Any]

    def __post_init__(self) -> None:
        if not self.ids.is_unique:
            twice = self.ids[self.ids.duplicated()][0]
            raise DataError(f"The id {twice!r} occurs twice in a vocabulary; ids must be unique.")
        if (PAD_INT if self.kind == "int64" else PAD_STRING) in self.ids:
            raise DataError(f"Empty text and {PAD_INT} fill unused places of histories; they cannot be ids.")

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
        if self.kind == "int64" and getattr(raw, "dtype", None) == np.int64:
            numbers: pd.Index[Any] = pd.Index(raw)
            return numbers
        values: list[Any] = pd.Index(raw, dtype=object).tolist()
        if self.kind == "int64":
            return pd.Index([_whole(value) for value in values], dtype="int64")
        return pd.Index([PAD_STRING if pd.isna(value) else str(value) for value in values], dtype="str")


def _whole(raw: Any) -> int:
    """A raw id as an integer, never by way of a float; PAD_INT, which is no id, for what is none."""
    match = re.fullmatch(r"([+-]?\d{1,19})(\.0*)?", str(raw).strip())
    number = int(match[1]) if match else PAD_INT
    return number if abs(number) < -PAD_INT else PAD_INT
