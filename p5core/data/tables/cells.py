"""Cells of tables: spaces around them, and words for missing values."""

from __future__ import annotations

from collections.abc import Sequence

from p5core.data.tables.sql import quote_text

__all__ = ["NULL_WORDS", "cell"]

NULL_WORDS = ("NULL", "null", "NA", "N/A", "NaN", "nan", "None", "<NA>", r"\N")
"""Words that stand for a missing value."""


def cell(text: str, null_words: Sequence[str] | None = None) -> str:
    """SQL of a text without the spaces around it, NULL for an empty one and for a word for missing values."""
    words = ", ".join(quote_text(word) for word in ("", *(NULL_WORDS if null_words is None else null_words)))
    return f"CASE WHEN trim({text}) NOT IN ({words}) THEN trim({text}) END"
