"""Quoting for DuckDB."""

from __future__ import annotations

__all__ = ["quote_identifier", "quote_text"]


def quote_identifier(name: str) -> str:
    """A column or table name as SQL: in double quotes, those inside doubled."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text literal as SQL: in single quotes, those inside doubled."""
    return "'" + text.replace("'", "''") + "'"
