"""The texts of items and users, one each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import unescape
from typing import Any

import pandas as pd

from p5core.data.catalogue import Entities
from p5core.data.columns import TITLE
from p5core.errors import ConfigError, DataError, did_you_mean

__all__ = ["joined_texts"]

WORD = re.compile(r"[^\W_]")

BETWEEN = ". "
"""Between the texts of two columns."""


def joined_texts(entities: Entities, columns: Sequence[str], part: str) -> list[str]:
    """The columns of each entity in one text, "" where nothing is known of it.

    Raises ConfigError for a column that the table has not, DataError where no entity has any text.
    """
    available = [*([TITLE] if TITLE in entities.frame else []), *entities.features]
    for name in columns:
        if name not in available:
            listed = f"Columns: {', '.join(available)}." if available else "There is no table of them: load one."
            raise ConfigError(f"{part}: there is no column '{name}'.{did_you_mean(name, available)} {listed}")
    cells = [[_text(cell) for cell in entities.frame[name].tolist()] for name in columns]
    texts = [BETWEEN.join(part for part in parts if part) for parts in zip(*cells, strict=True)]
    if not any(WORD.search(text) for text in texts):
        raise DataError(f"{part}: the columns {', '.join(columns)} hold no word at all. Name others.")
    return texts


def _text(cell: Any) -> str:
    """A cell as one line of text; the elements of a list are separated by commas."""
    if isinstance(cell, str):
        return " ".join(unescape(cell).split())
    if isinstance(cell, Iterable):
        return ", ".join(text for text in map(_text, cell) if text)
    return "" if pd.isna(cell) else str(cell)
