"""The column names that loaders hand over."""

from __future__ import annotations

__all__ = ["DOMAIN", "EVENT", "ITEM", "RATING", "TIMESTAMP", "TITLE", "USER", "WEIGHT"]

USER = "user"
"""User id. Strings or 64-bit integers. Required among interactions; the key of the users table."""

ITEM = "item"
"""Item id. Strings or 64-bit integers. Required among interactions; the key of the items table."""

TIMESTAMP = "timestamp"
"""Time: a number, a date or a text that can be read as one. Optional; without it the order of rows is the order."""

RATING = "rating"
"""Rating: a finite number. Optional; a field of the events."""

EVENT = "event"
"""Kind of interaction, such as "view" or "purchase". Optional; a field of the events."""

WEIGHT = "weight"
"""Weight of the event: how often or how much, such as plays or a quantity. Optional; a field of the events."""

DOMAIN = "domain"
"""Catalogue that the item belongs to. Optional; one domain named "default" without it."""

TITLE = "title"
"""Title of the item; a column of the items table. Optional."""
