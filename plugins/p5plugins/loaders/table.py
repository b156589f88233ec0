"""Tables in files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field, field_validator

from p5core.config.base import ExpandedPath
from p5core.contracts.loader import Loader
from p5core.data.columns import ITEM, TIMESTAMP, USER
from p5core.data.profile.preview import PREVIEWED_ROWS, Preview
from p5core.data.raw import RawData
from p5core.data.tables.columns import LOOKED_AT, guess_columns, map_columns, unused_columns
from p5core.data.tables.events import day_order, scan_events
from p5core.data.tables.files import TableFiles, open_table
from p5core.data.tables.options import ColumnOptions
from p5core.data.tables.records import unnest_records
from p5core.data.tables.sniff import Layout
from p5core.errors import DataError
from p5plugins.loaders.entity_tables import ItemsOptions, UsersOptions

__all__ = ["Table", "TableConfig"]


class TableConfig(ColumnOptions, ItemsOptions, UsersOptions):
    """Options of the table loader."""

    path: ExpandedPath
    """File, or pattern such as logs/*.csv.gz: CSV, TSV, Parquet or JSON Lines."""

    separator: str | None = Field(None, min_length=1, max_length=4)
    """Column separator of text files; default: guessed."""

    header: bool | None = None
    """True if text files have a header row; default: guessed."""

    columns: list[str] = []
    """Names of all columns of text files, in order; default: those of the header."""

    records: list[str] = []
    """JSON columns with lists of objects, each of which is a row; default: guessed."""

    quote: str | None = Field(None, max_length=1)
    """Quote character of text files; "": none; default: guessed."""

    escape: str | None = Field(None, max_length=1)
    """Character before a quote that is text; default: the quote itself."""

    encoding: str = "utf-8"
    """Character encoding of text files, such as "cp1252" or "gbk"."""

    @field_validator("records", mode="before")
    @classmethod
    def _one_is_a_list(cls, records: object) -> object:
        return [records] if isinstance(records, str) else records


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
        items, item_notes = config.read_items(config.id_type == "text", raw.column(ITEM))
        users, user_notes = config.read_users(config.id_type == "text", raw.column(USER))
        return replace(raw, items=items, users=users, notes=(*raw.notes, *item_notes, *user_notes))

    def preview(self, n_rows: int = 1_000) -> Preview:
        """Read the first rows alone; a column that is not found is told, not raised."""
        table = self._open()
        preview = table.frame(f"SELECT * FROM {table.relation} LIMIT {PREVIEWED_ROWS}")
        columns = guess_columns(self.config, table.columns)
        try:
            head = self._events(replace(table, relation=f"(SELECT * FROM {table.relation} LIMIT {n_rows})"))
            head = replace(head, is_head=True)
            time = columns.get(TIMESTAMP)
            if head.day_first is None and isinstance(time, str):  # the first rows may lie within days that do not tell
                head = replace(head, day_first=day_order(table, time))
        except DataError as error:
            return Preview(preview, columns, None, table.notes, table.settings, error.message)
        return Preview(preview, columns, head, head.notes, table.settings)

    def _open(self) -> TableFiles:
        config = self.config
        layout = Layout(
            config.separator, config.header, config.quote, config.encoding, tuple(config.columns), config.escape,
            tuple(config.null_words),
        )  # fmt: skip
        table = open_table(config.path, layout, config.named, drop_faulty=config.on_error == "drop")
        return unnest_records(table, config.records, config.item)

    def _events(self, table: TableFiles) -> RawData:
        mapping = map_columns(self.config, table.columns, table.source)
        head = table.frame(f"SELECT * FROM {table.relation} LIMIT {LOOKED_AT}")
        unused = unused_columns(self.config, mapping, head)
        return RawData(
            scan_events(table, mapping, self.config.domain, self.config.id_type == "text"),
            source=table.source,
            **self.config.reading,
            renamed=mapping.renamed,
            header_rows=table.header_rows,
            notes=(*table.notes, *mapping.notes, *unused),
            faulty=table.faulty,
        )
