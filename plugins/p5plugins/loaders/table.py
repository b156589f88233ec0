"""Tables in files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from p5core.config.base import ExpandedPath
from p5core.contracts.loader import Loader
from p5core.data.columns import ITEM, TIMESTAMP, USER
from p5core.data.profile.preview import PREVIEWED_ROWS, Preview
from p5core.data.raw import RawData
from p5core.data.tables.columns import LOOKED_AT, ColumnOptions, guess_columns, map_columns, unused_times
from p5core.data.tables.events import day_order, scan_events
from p5core.data.tables.files import TableFiles, open_table
from p5core.data.tables.metadata import read_metadata
from p5core.data.tables.sniff import Layout
from p5core.errors import DataError

__all__ = ["Table", "TableConfig"]


class TableConfig(ColumnOptions):
    """Options of the table loader."""

    path: ExpandedPath
    """File, or pattern such as logs/*.csv.gz: CSV, TSV, Parquet or JSON Lines."""

    separator: str | None = Field(None, min_length=1, max_length=4)
    """Column separator of text files; default: guessed."""

    header: bool | None = None
    """True if text files have a header row; default: guessed."""

    quote: str | None = Field(None, max_length=1)
    """Quote character of text files; "": none; default: guessed."""

    encoding: Literal["utf-8", "latin-1", "utf-16"] = "utf-8"
    """Character encoding of text files."""

    items: ExpandedPath | None = None
    """Table of items, joined by id; further columns become features."""

    items_id: str | None = None
    """Id column of the items table; default: guessed."""

    items_title: str | None = None
    """Title column of the items table; default: guessed; "": none."""

    users: ExpandedPath | None = None
    """Table of users, joined by id; further columns become features."""

    users_id: str | None = None
    """Id column of the users table; default: guessed."""


class Table(Loader):
    """CSV, TSV, Parquet or JSON Lines files, read by DuckDB; may exceed memory.

    Separator, header, columns and unit of time are guessed and shown. Ids stay what they are: in text files they are
    integers when all ids of the column are written as integers (42, or 42.0 as pandas writes a column with gaps), and
    otherwise the texts that stand there ("007").
    """

    name = "table"
    Config = TableConfig
    config: TableConfig

    @classmethod
    def recognises(cls, path: Path) -> float:
        """Any file or pattern may hold a table."""
        return 0.0 if path.is_dir() else 0.5

    def load(self) -> RawData:
        """Find the columns; preparation reads the rows."""
        config = self.config
        raw = self._events(self._open())
        items, item_notes = read_metadata(config.items, ITEM, config.items_id, config.items_title)
        users, user_notes = read_metadata(config.users, USER, config.users_id)
        return replace(raw, items=items, users=users, notes=(*raw.notes, *item_notes, *user_notes))

    def preview(self, n_rows: int = 1_000) -> Preview:
        """Read the first rows alone; a column that is not found is told, not raised."""
        table = self._open()
        preview = table.frame(f"SELECT * FROM {table.relation} LIMIT {PREVIEWED_ROWS}")
        columns = guess_columns(self.config, table.columns)
        try:
            head = self._events(replace(table, relation=f"(SELECT * FROM {table.relation} LIMIT {n_rows})"))
            head = replace(head, is_head=True)
            if head.day_first is None and TIMESTAMP in columns:  # the first rows may lie within days that do not tell
                head = replace(head, day_first=day_order(table, columns[TIMESTAMP]))
        except DataError as error:
            return Preview(preview, columns, None, table.notes, table.settings, error.message)
        return Preview(preview, columns, head, head.notes, table.settings)

    def _open(self) -> TableFiles:
        config = self.config
        layout = Layout(config.separator, config.header, config.quote, config.encoding)
        return open_table(config.path, layout, config.named)

    def _events(self, table: TableFiles) -> RawData:
        mapping = map_columns(self.config, table.columns, table.source)
        head = table.frame(f"SELECT * FROM {table.relation} LIMIT {LOOKED_AT}")
        unused = unused_times(self.config, mapping, head)
        return RawData(
            scan_events(table, mapping, self.config.domain),
            source=table.source,
            **self.config.times,
            header_rows=table.header_rows,
            notes=(*table.notes, *mapping.notes, *unused),
        )
