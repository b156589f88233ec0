"""Ids in JSON: numbers lose digits above 2^53 in JavaScript and elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from p5core.errors import ExportError

__all__ = ["EXACT", "shown", "to_json", "to_raw"]

EXACT = 2**53
"""From here on a double cannot hold every integer."""

RawId = str | int


def to_raw(ids: Sequence[RawId], kind: str) -> list[RawId]:
    """Ids as the model knows them, from numbers or texts; raises ExportError for what cannot be one."""
    return [str(one) if kind == "string" else _whole(one) for one in ids]


def to_json(raw: RawId) -> RawId:
    """An id as a number, or as a text where a number could lose digits."""
    return str(raw) if isinstance(raw, int) and abs(raw) >= EXACT else raw


def shown(value: object) -> str:
    """A value of a request as the client wrote it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()  # a lone surrogate
    return text if len(text) <= 60 else f"{text[:60]}…"


def _whole(raw: RawId) -> int:
    if isinstance(raw, int) or re.fullmatch(r"[+-]?[0-9]{1,19}", raw):
        number = int(raw)
        if -(2**63) <= number < 2**63:
            return number
    raise ExportError(f"The ids of this model are 64-bit integers; got {shown(raw)}.")
