"""Validation of raw ids, shared by all Python interfaces of an exported model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from p5core.errors import ExportError

__all__ = ["RawId", "as_array", "as_candidates", "as_history", "as_id", "as_ids", "is_list", "shown"]

RawId = str | int


def as_ids(raw: Iterable[Any], kind: str) -> list[RawId]:
    """Ids as the model knows them, from integers and texts; raises ExportError for anything else.

    A float, a bool, None or bytes is no id: converted, it would be the id of another item.
    """
    return [as_id(raw_id, kind) for raw_id in raw]


def as_id(raw: Any, kind: str) -> RawId:
    """One id as the model knows it; `kind` is "string" or "int64"."""
    is_integer = isinstance(raw, (int, np.integer)) and not isinstance(raw, (bool, np.bool_, np.timedelta64))
    if kind == "int64":
        if is_integer or (isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", raw)):
            number = int(raw)
            if -(2**63) <= number < 2**63:
                return number
        raise ExportError(f"The ids of this model are 64-bit integers; got {shown(raw)}.")
    if isinstance(raw, str):
        return str(raw)
    if is_integer:
        return str(int(raw))
    raise ExportError(f"The ids of this model are texts; got {shown(raw)}.")


def as_history(raw: Any, kind: str) -> list[RawId]:
    """A history as the model knows it: any sequence or array of ids, oldest first."""
    if not is_list(raw):
        raise ExportError(f"A history is a list of item ids, oldest first; got {shown(raw)}.")
    return as_ids(raw, kind)


def as_candidates(raw: Any, kind: str) -> list[RawId]:
    """Candidates as the model knows them: any sequence or array of ids."""
    if not is_list(raw):
        raise ExportError(f"Candidates are a list of item ids; got {shown(raw)}.")
    return as_ids(raw, kind)


def is_list(raw: Any) -> bool:
    """True for an ordered collection of values; False for text, bytes, sets and tables."""
    has_order = not isinstance(raw, (str, bytes, bytearray, memoryview, Set, Mapping))
    return has_order and isinstance(raw, Iterable) and hasattr(raw, "__len__") and getattr(raw, "ndim", 1) == 1


def as_array(ids: Sequence[RawId], kind: str) -> npt.NDArray[Any]:
    """Ids that were checked, as ONNX Runtime takes them."""
    return np.array(ids, dtype=np.int64 if kind == "int64" else object)


def shown(value: object) -> str:
    """A value as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
