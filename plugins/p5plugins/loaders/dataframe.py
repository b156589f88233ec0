"""Data that is already in memory."""

from __future__ import annotations

import pandas as pd
from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from p5core.contracts.loader import Loader
from p5core.data.columns import ITEM, USER
from p5core.data.raw import RawData
from p5core.data.tables.columns import pick_columns
from p5core.data.tables.metadata import tidy_metadata
from p5core.data.tables.options import ColumnOptions
from p5core.errors import DataError

__all__ = ["InMemory", "InMemoryConfig"]


Frame = SkipJsonSchema[pd.DataFrame] | None
"""A DataFrame, which no file and no form can hold."""


class InMemoryConfig(ColumnOptions):
    """Options of the dataframe loader."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    interactions: Frame = Field(None, exclude=True)
    """One row an event; it comes from Python and is not stored with the run."""

    items: Frame = Field(None, exclude=True)
    """One row an item, joined by id; its other columns are features."""

    users: Frame = Field(None, exclude=True)
    """One row a user, joined by id; its other columns are features."""


class InMemory(Loader):
    """DataFrames passed from Python; columns are named or guessed as for files."""

    name = "dataframe"
    path_option = None
    Config = InMemoryConfig
    config: InMemoryConfig

    def load(self) -> RawData:
        """Find the columns; raises DataError without a DataFrame, as after a run was stored and read again."""
        config = self.config
        if config.interactions is None:
            raise DataError(
                "The loader 'dataframe' has no interactions: give it a DataFrame from Python, or store the data in a "
                "file and use the loader 'table'."
            )
        events, mapping = pick_columns(config, config.interactions, "the DataFrame")
        items, item_notes = tidy_metadata(config.items, ITEM, "the items DataFrame")
        users, user_notes = tidy_metadata(config.users, USER, "the users DataFrame")
        return RawData(
            events,
            items=items,
            users=users,
            source="the DataFrame",
            **config.reading,
            renamed=mapping.renamed,
            notes=(*mapping.notes, *item_notes, *user_notes),
        )
