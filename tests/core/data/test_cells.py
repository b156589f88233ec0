"""Cells of text without the spaces around them, whatever stands at their ends."""

from __future__ import annotations

from itertools import product

import duckdb
import pandas as pd

from p5core.data.tables.sql import NULL_WORDS, SPACES, cell

ENDS = ["", "a", "~", "!", " ", "\t", "\u00a0", "\u3000", "é", "😀", "\x7f", "\x1f", "NULL", "7"]


def test_a_cell_is_its_text_without_spaces_and_missing_words() -> None:
    texts = ["".join(parts) for parts in product(ENDS, repeat=3)]
    connection = duckdb.connect()
    connection.register("texts", pd.DataFrame({"text": [*texts, None]}))
    read = [value for (value,) in connection.execute(f"SELECT {cell('text')} FROM texts").fetchall()]
    stripped = [text.strip(SPACES) for text in texts]
    assert read == [*(None if text in ("", *NULL_WORDS) else text for text in stripped), None]
