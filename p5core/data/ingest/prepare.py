"""Cleaning and encoding on DuckDB, so that ten thousand and a hundred million rows take the same code."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from p5core.config.prepare import PrepareConfig
from p5core.data.dataset import Dataset
from p5core.data.ingest.cleaning import clean
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.encoding import encode
from p5core.data.ingest.staging import stage
from p5core.data.profile.report import PrepareReport
from p5core.data.raw import RawData
from p5core.errors import DataError

__all__ = ["prepare", "prepare_more"]


def prepare(raw: RawData, config: PrepareConfig) -> tuple[Dataset, PrepareReport]:
    """Clean, encode and sort an interaction log.

    Steps: drop events without ids or time; read times; drop ratings below the minimum; keep one event of each user and
    item; drop rare users and items to a fixed point; encode; sort. Events are sorted by user and time; events of one
    user at the same time keep the order of the source. Codes follow the order of raw ids (of domain and raw id for
    items), so they do not depend on the order of rows.

    Raises DataError, with source, row and column where they are known, when the data cannot be used.
    """
    dataset, report = _within_memory(raw, config)
    for n, word in ((report.n_users, "user"), (report.n_items, "item")):
        if n == 1:
            raise DataError(
                f"Only one {word} is left, and one {word} is nothing to learn from. Check which column is the {word}, "
                "or bring more data."
            )
    return dataset, report


def prepare_more(raw: RawData, config: PrepareConfig) -> tuple[Dataset, PrepareReport]:
    """`prepare` for events that will join others: however few they are of a user or item, they stay."""
    return _within_memory(raw, config.model_copy(update={"min_user_events": 1, "min_item_events": 1}))


def _within_memory(raw: RawData, config: PrepareConfig) -> tuple[Dataset, PrepareReport]:
    try:
        return _prepare(raw, config)
    except duckdb.OutOfMemoryException:
        raise DataError(
            f"prepare.memory_limit = '{config.memory_limit}' does not suffice for {raw.source}. Give it more."
        ) from None


def _prepare(raw: RawData, config: PrepareConfig) -> tuple[Dataset, PrepareReport]:
    with (
        tempfile.TemporaryDirectory(prefix="p5-", ignore_cleanup_errors=True) as folder,
        Workspace.open(Path(folder), config.memory_limit) as workspace,
    ):
        staged = stage(workspace, raw, config.fields)
        cleaned = clean(
            workspace,
            staged,
            keep=config.keep,
            min_rating=config.min_rating,
            min_user_events=config.min_user_events,
            min_item_events=config.min_item_events,
        )
        return encode(workspace, raw, staged, cleaned, config.cold_items)
