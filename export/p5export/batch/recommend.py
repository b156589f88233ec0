"""Recommendations for a file of histories, a few thousand at a time: neither the file nor the answers are ever held."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from p5core.data.columns import ITEM, USER
from p5core.data.ingest.database import Workspace
from p5core.errors import DataError
from p5core.system.folders import hidden_path, remove_leftovers
from p5export.batch.histories import Columns, History, open_histories
from p5export.bundle.bundle import Bundle
from p5export.runtime import OnnxRecommender, Recommended

__all__ = ["Counts", "score_file"]

Report = Callable[[int, int], None]
"""Called with how many rows are answered, of how many."""

OTHER_FORMATS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx")
"""Endings of files that a reader would take for something else than Parquet."""

CHUNK = 4096
"""Most histories that are sorted by length, answered and written together."""
CHUNK_IDS = 2**20
"""Most ids that they have, unless one alone has more."""
CHUNK_ITEMS = 2**17
"""Most items of their answers."""
BATCH = 32
"""Most histories of one call of the model."""
BATCH_IDS = 2**18
"""Most places of its input, padding included."""
BATCH_SCORES = 2**24
"""Most scores that it computes: 64 MB."""


@dataclass(frozen=True)
class Counts:
    """Counts of rows read and written."""

    histories: int
    rows: int
    dropped: int
    """rows without a user, an item or, where there is such a column, a time"""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """sentences about guesses"""


def score_file(
    model: OnnxRecommender, events: Path, output: Path, k: int, columns: Columns, report: Report, memory: str = "1GB"
) -> Counts:
    """Write user, rank (from 1), item, score and metadata columns for each history of a file, as Parquet.

    A row of the file is an event, or a history where a list column `history` is there. A history is the items of a
    user by time, those of equal time in the order of the file; models of users are asked by user. `memory` bounds what
    DuckDB holds. Raises DataError for a file that cannot be used; `output` is replaced only when all went well.
    """
    _refuse_place(events, output)
    if not re.fullmatch(r"\d+(\.\d+)?\s*[KMGT]i?B", memory):
        raise DataError(f"memory '{memory}' is no size such as 1GB.")
    try:
        with tempfile.TemporaryDirectory(prefix="p5-") as folder, Workspace.open(Path(folder), memory) as workspace:
            return _score(workspace, model, events, output, k, columns, report)
    except duckdb.OutOfMemoryException:
        raise DataError(f"{memory} of memory do not suffice for {events}. Give it more with --memory.") from None
    except duckdb.Error as error:
        raise DataError(f"{events} cannot be scored: {str(error).strip().splitlines()[0]}") from None


def _refuse_place(events: Path, output: Path) -> None:
    if output.exists() and events.exists() and output.samefile(events):
        raise DataError(f"{output} is the file of events itself. Name another file for the answers.")
    if output.is_dir():
        raise DataError(f"{output} is a folder. Name a file in it.")
    if output.suffix.lower() in OTHER_FORMATS:
        raise DataError(f"{output}: answers are written as Parquet. Name it {output.with_suffix('.parquet').name}.")
    if not output.parent.is_dir():
        raise DataError(f"There is no folder {output.parent}. Make it, or write elsewhere.")


def _score(
    workspace: Workspace, model: OnnxRecommender, events: Path, output: Path, k: int, columns: Columns, report: Report
) -> Counts:
    histories = open_histories(workspace, events, columns, model.bundle)
    schema = _schema(model.bundle, histories.user_type)
    n_histories = done = 0
    with _written(output, schema) as writer:
        for chunk in _chunks(histories.stream, min(k, int(model.bundle.manifest["n_items"]))):
            writer.write_table(_table(schema, chunk, _answers(model, chunk, k)))
            n_histories += len(chunk)
            done += sum(history.rows for history in chunk)
            report(done, histories.rows)
    return Counts(n_histories, histories.rows, histories.dropped, histories.notes)


def _chunks(histories: Iterator[History], n_answers: int) -> Iterator[list[History]]:
    """Chunks of histories that fit into memory with their answers."""
    most, n_ids = max(1, min(CHUNK, CHUNK_ITEMS // n_answers)), 0
    chunk: list[History] = []
    for history in histories:
        chunk.append(history)
        n_ids += history.length
        if len(chunk) == most or n_ids >= CHUNK_IDS:
            yield chunk
            chunk, n_ids = [], 0
    if chunk:
        yield chunk


def _answers(model: OnnxRecommender, chunk: Sequence[History], k: int) -> list[list[Recommended]]:
    """Score histories of similar length together; answers keep the order of the chunk."""
    answers: list[list[Recommended]] = [[]] * len(chunk)
    rows = max(1, min(BATCH, BATCH_SCORES // max(1, int(model.bundle.manifest["n_items"]))))
    order = iter(sorted(range(len(chunk)), key=lambda place: -chunk[place].length))
    for longest in order:
        fitting = max(1, min(rows, BATCH_IDS // max(1, chunk[longest].length)))
        batch = [longest, *islice(order, fitting - 1)]
        for place, answer in zip(
            batch, model.recommend_batch([chunk[history].who for history in batch], k), strict=True
        ):
            answers[place] = answer
    return answers


def _schema(bundle: Bundle, user_type: pa.DataType) -> pa.Schema:
    item = pa.int64() if bundle.id_kind == "int64" else pa.string()
    fields = [(USER, user_type), ("rank", pa.int32()), (ITEM, item), ("score", pa.float32())]
    taken = {name for name, _ in fields}
    metadata = [name for name in bundle.manifest["outputs"] if name not in ("items", "scores")]
    return pa.schema(
        [*fields, *((f"item_{column}" if column in taken else column, pa.string()) for column in metadata)]
    )


def _table(schema: pa.Schema, chunk: Sequence[History], answers: Sequence[Sequence[Recommended]]) -> pa.Table:
    asked = zip((history.user for history in chunk), answers, strict=True)
    rows = [(user, rank, answer) for user, answer_list in asked for rank, answer in enumerate(answer_list, 1)]
    metadata = list(rows[0][2].metadata) if rows else [""] * (len(schema) - 4)
    columns: list[list[Any]] = [
        [user for user, _, _ in rows],
        [rank for _, rank, _ in rows],
        [row.item for _, _, row in rows],
        [row.score for _, _, row in rows],
        *([row.metadata[name] for _, _, row in rows] for name in metadata),
    ]
    return pa.table(
        [pa.array(column, cells.type) for column, cells in zip(columns, schema, strict=True)], schema=schema
    )


@contextmanager
def _written(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A Parquet file that takes the place of an older one when it is whole."""
    remove_leftovers(path.parent)
    partial = hidden_path(path)
    try:
        with partial.open("wb") as stream:
            with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
                yield writer
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
