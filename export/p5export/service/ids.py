"""Ids in JSON: numbers lose digits above 2^53 in JavaScript and elsewhere."""

from __future__ import annotations

import json

__all__ = ["EXACT", "shown", "to_json"]

EXACT = 2**53
"""From here on a double cannot hold every integer."""

RawId = str | int


def to_json(raw: RawId) -> RawId:
    """An id as a number, or as a text where a number could lose digits."""
    return str(raw) if isinstance(raw, int) and abs(raw) >= EXACT else raw


def shown(value: object) -> str:
    """A value of a request as the client wrote it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()  # a lone surrogate
    return text if len(text) <= 60 else f"{text[:60]}…"
