"""Options of data preparation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from p5core.config.base import Config

__all__ = ["PrepareConfig"]


class PrepareConfig(Config):
    """Cleaning of an interaction log."""

    keep: Literal["first", "last", "all"] = "first"
    """Event to keep among several of a user with one item."""

    min_rating: float | None = None
    """Drop events with a lower rating."""

    min_user_events: int = Field(3, ge=1)
    """Drop users with fewer events, repeated until nothing changes (k-core)."""

    min_item_events: int = Field(1, ge=1)
    """Drop items with fewer events, repeated until nothing changes (k-core)."""

    cold_items: bool = False
    """Keep items of the items table that have no events; encoders of content place them."""

    fields: list[str] = []
    """Further interaction columns to keep: numbers, or categories such as "click"."""

    memory_limit: str = Field("1GB", pattern=r"^\d+(\.\d+)?\s*[KMGT]i?B$")
    """Memory limit of DuckDB before it spills to disk, such as "600MB"."""
