"""The column names that loaders hand over."""

from __future__ import annotations

__all__ = ["DOMAIN", "ITEM", "RATING", "TIMESTAMP", "TITLE", "USER"]

USER = "user"
"""Who. Strings or 64-bit integers. Required among interactions; the key of the users table."""

ITEM = "item"
"""What. Strings or 64-bit integers. Required among interactions; the key of the items table."""

TIMESTAMP = "timestamp"
"""When: a number, a date or a text that can be read as one. Optional; without it the order of rows is the order."""

RATING = "rating"
"""How much: a finite number. Optional."""

DOMAIN = "domain"
"""Which catalogue the item belongs to. Optional; one domain named "default" without it."""

TITLE = "title"
"""What people call the item; a column of the items table. Optional."""
