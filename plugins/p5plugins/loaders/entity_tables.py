"""Options of the tables of items and users beside a log."""

from __future__ import annotations

from pydantic import Field, field_validator

from p5core.config.base import Config, ExpandedPath
from p5core.data.columns import ITEM, USER
from p5core.data.tables.conditions import parse_condition
from p5core.data.tables.metadata import Metadata, read_metadata
from p5core.data.tables.sniff import Layout

__all__ = ["ItemsOptions", "UsersOptions"]


class ItemsOptions(Config):
    """Options of a table of items beside the log."""

    items: ExpandedPath | None = None
    """Table of items, joined by id; further columns become features."""

    items_id: str | None = None
    """Id column of the items table; default: guessed."""

    items_title: str | None = None
    """Title column of the items table; default: guessed; "": none."""

    items_separator: str | None = Field(None, min_length=1, max_length=4)
    """Column separator of the items table; default: guessed."""

    items_header: bool | None = None
    """True if the items table has a header row; default: guessed."""

    items_columns: list[str] = []
    """Names of all columns of the items table, in order; default: its header."""

    items_quote: str | None = Field(None, max_length=1)
    """Quote character of the items table; "": none; default: guessed."""

    items_escape: str | None = Field(None, max_length=1)
    """Character before a quote that is text, in the items table."""

    items_encoding: str = "utf-8"
    """Character encoding of the items table, such as "cp1252" or "gbk"."""

    items_where: str | None = Field(None, min_length=1)
    """Condition on the rows of the items table to keep."""

    @field_validator("items_where")
    @classmethod
    def _items_can_be_parsed(cls, where: str | None) -> str | None:
        if where is not None:
            parse_condition(where)
        return where

    def read_items(self, text_ids: bool = False, like: str = "") -> Metadata:
        """The table, with ids as they are written if wanted, and what was guessed; raises DataError if faulty.

        `like` is the name of the ids in the log, which are looked for first.
        """
        layout = Layout(
            self.items_separator, self.items_header, self.items_quote, self.items_encoding, tuple(self.items_columns),
            self.items_escape,
        )  # fmt: skip
        return read_metadata(
            self.items, ITEM, self.items_id, self.items_title, layout, self.items_where, text_ids, like
        )


class UsersOptions(Config):
    """Options of a table of users beside the log."""

    users: ExpandedPath | None = None
    """Table of users, joined by id; further columns become features."""

    users_id: str | None = None
    """Id column of the users table; default: guessed."""

    users_separator: str | None = Field(None, min_length=1, max_length=4)
    """Column separator of the users table; default: guessed."""

    users_header: bool | None = None
    """True if the users table has a header row; default: guessed."""

    users_columns: list[str] = []
    """Names of all columns of the users table, in order; default: its header."""

    users_quote: str | None = Field(None, max_length=1)
    """Quote character of the users table; "": none; default: guessed."""

    users_escape: str | None = Field(None, max_length=1)
    """Character before a quote that is text, in the users table."""

    users_encoding: str = "utf-8"
    """Character encoding of the users table, such as "cp1252" or "gbk"."""

    users_where: str | None = Field(None, min_length=1)
    """Condition on the rows of the users table to keep."""

    @field_validator("users_where")
    @classmethod
    def _users_can_be_parsed(cls, where: str | None) -> str | None:
        if where is not None:
            parse_condition(where)
        return where

    def read_users(self, text_ids: bool = False, like: str = "") -> Metadata:
        """The table, with ids as they are written if wanted, and what was guessed; raises DataError if faulty.

        `like` is the name of the ids in the log, which are looked for first.
        """
        layout = Layout(
            self.users_separator, self.users_header, self.users_quote, self.users_encoding, tuple(self.users_columns),
            self.users_escape,
        )  # fmt: skip
        return read_metadata(self.users, USER, self.users_id, None, layout, self.users_where, text_ids, like)
