"""Histories as lines of text."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pandas as pd
from pydantic import Field

from p5core.config.base import Config, ExpandedPath
from p5core.contracts.loader import Loader
from p5core.data.columns import DOMAIN, ITEM, TIMESTAMP, USER
from p5core.data.raw import RawData, Scan
from p5core.data.tables.columntypes import is_integer
from p5core.data.tables.files import TableFiles, open_lines
from p5core.data.tables.metadata import Metadata, read_metadata
from p5core.data.tables.sql import quote_text
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["Sequences", "SequencesConfig"]

LINES = "each line is read as a user and its items, oldest first"
LINES_OF_ITEMS = "each line is read as the items of one user, oldest first"

ATTRIBUTES = "attributes"

LOOKED_AT = 100
"""Lines by which a file is recognised."""

BETWEEN_COLUMNS = ("\t", ",", ";", "|", "::")
"""Separators of tables, which histories do not hold."""


COMMENTS = ("#", "%")
"""Beginnings of lines that are comments in lists of edges; histories have none."""


class SequencesConfig(Config):
    """Options of the sequences loader."""

    path: ExpandedPath
    """File with one user per line, ids separated by spaces, oldest first."""

    has_user: bool = True
    """True if each line begins with the user id; else lines are numbered."""

    attributes: ExpandedPath | None = None
    """JSON file of item → list of attributes, read as feature column `attributes`."""

    items: ExpandedPath | None = None
    """Table of items, joined by id; further columns become features."""

    items_id: str | None = None
    """Id column of the items table; default: guessed."""

    items_title: str | None = None
    """Title column of the items table; default: guessed; "": none."""

    domain: str | None = Field(None, min_length=1)
    """Domain of all items."""


class Sequences(Loader):
    """Lines of `user item item …`, oldest first, as S3-Rec and SASRec publish their data.

    A user may have several lines, which follow each other; so `user item` on each line works as well. Ids are integers
    when all of them are written as integers, and otherwise texts. The timestamp is the place in the file.
    """

    name = "sequences"
    Config = SequencesConfig
    config: SequencesConfig

    @classmethod
    def recognises(cls, path: Path) -> float:
        """Lines of words with spaces between, here more and there fewer: histories, and no table."""
        if path.suffix not in {"", ".txt", ".seq", ".dat"} or not path.is_file():
            return 0.0
        with path.open(encoding="utf-8", errors="replace") as text:
            lines = list(islice(text, LOOKED_AT))
        rows = [line for line in lines if line.strip() and not line.startswith(COMMENTS)]
        is_table = any(mark in line for line in rows for mark in BETWEEN_COLUMNS)
        is_ragged = len({len(line.split()) for line in rows}) > 1
        return 0.9 if is_ragged and not is_table else 0.0

    def load(self) -> RawData:
        """Check the lines; preparation reads them. Raises DataError for a line with a user and no item."""
        config = self.config
        lines = open_lines(config.path)
        if config.has_user:
            _refuse_lonely(lines)
        items, notes = self._items()
        return RawData(
            _scan(lines, config.has_user, config.domain),
            items=items,
            source=lines.source,
            time_unit="step",
            notes=(Message(LINES if config.has_user else LINES_OF_ITEMS), *notes),
        )

    def _items(self) -> Metadata:
        config = self.config
        table, notes = read_metadata(config.items, ITEM, config.items_id, config.items_title)
        if config.attributes is None:
            return table, notes
        attributes = _read_attributes(config.attributes)
        if table is None:
            return attributes, notes
        if ATTRIBUTES in table:
            raise DataError(f"{config.items} has a column '{ATTRIBUTES}' already. Rename it, or leave out attributes.")
        return table.assign(**{ITEM: table[ITEM].astype("str")}).merge(attributes, on=ITEM, how="outer"), notes


def _words(lines: TableFiles) -> str:
    """A query of the number and the words of each line that has any."""
    numbered = f"SELECT row_number() OVER () AS number, trim(line, E' \\t\\r') AS line FROM {lines.relation}"
    return rf"SELECT number, regexp_split_to_array(line, '[ \t]+') AS words FROM ({numbered}) WHERE line <> ''"


def _refuse_lonely(lines: TableFiles) -> None:
    for number, words in lines.rows(f"SELECT * FROM ({_words(lines)}) WHERE len(words) = 1 ORDER BY number LIMIT 1"):
        raise DataError(
            f"{lines.source}, line {number}: a user ('{words[0]}') without items. Remove the line, or set has_user = "
            "false if lines hold items alone."
        )


def _scan(lines: TableFiles, has_user: bool, domain: str | None) -> Scan:
    user, items = ("words[1]", "words[2:]") if has_user else ("number", "words")
    pairs = f"SELECT {user} AS {USER}, unnest({items}) AS {ITEM} FROM ({_words(lines)})"
    tests = ", ".join(f"bool_and({is_integer(f'CAST({name} AS VARCHAR)')})" for name in (USER, ITEM))
    results = lines.rows(f"SELECT {tests} FROM ({pairs})")[0]
    typed = [
        f"CAST({name} AS {'BIGINT' if all_integers else 'VARCHAR'}) AS {name}"
        for name, all_integers in zip((USER, ITEM), results, strict=True)
    ]
    constant = f", {quote_text(domain)} AS {DOMAIN}" if domain else ""
    return Scan(f"SELECT {', '.join(typed)}, row_number() OVER () AS {TIMESTAMP}{constant} FROM ({pairs})")


def _read_attributes(path: Path) -> pd.DataFrame:
    """Items with their lists of attributes; ids are texts, since JSON has no other keys."""
    try:
        attributes = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Check the option attributes.") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}, column {error.colno}: malformed JSON ({error.msg}).") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not valid UTF-8. Convert the file to UTF-8.") from None
    except KeyError as error:
        raise DataError(f"{path}: the item {error} stands twice. Remove one of them.") from None
    if not isinstance(attributes, dict) or not all(isinstance(attribute, list) for attribute in attributes.values()):
        raise DataError(f'{path} must be a JSON object of item and list, such as {{"1": ["a", "b"]}}.')
    return pd.DataFrame(
        {ITEM: pd.Series(list(attributes), dtype="str"), ATTRIBUTES: pd.Series(list(attributes.values()), dtype=object)}
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON; raises KeyError for a key that stands twice, which JSON allows."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return unique
