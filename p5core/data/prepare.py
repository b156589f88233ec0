"""Cleaning and encoding on DuckDB."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from p5core.config import Config

__all__ = ["PrepareConfig"]


class PrepareConfig(Config):
    """How an interaction log is cleaned."""

    keep: Literal["first", "last", "all"] = "first"
    """Which of several events of one user with one item stay."""

    min_rating: float | None = None
    """Events rated lower are dropped."""

    min_user_events: int = Field(3, ge=1)
    """Users with fewer events are dropped, again and again until nothing changes (k-core)."""

    min_item_events: int = Field(1, ge=1)
    """Items with fewer events are dropped, again and again until nothing changes (k-core)."""

    memory_limit: str = "1GB"
    """What DuckDB may hold in memory before it spills to disk."""
