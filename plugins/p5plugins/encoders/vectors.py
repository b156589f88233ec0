"""Vectors that were computed elsewhere, of texts, images or sounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from p5core.config.base import Config, ExpandedPath
from p5core.contracts.encoder import Features
from p5core.data.catalogue import Entities
from p5core.errors import ConfigError, DataError
from p5plugins.encoders.columns import feature_columns
from p5plugins.encoders.projected import ProjectedVectors
from p5plugins.texts.whitening import Whitening, fit_whitening, unit_rows

__all__ = ["Vectors", "VectorsConfig"]

Floats = npt.NDArray[np.float32]


class VectorsConfig(Config):
    """The source of the vectors."""

    column: str = ""
    """Column with a list of numbers for each item; excludes file."""

    file: ExpandedPath | None = None
    """File of NumPy, .npy, with one row for each id of the file ids."""

    ids: ExpandedPath | None = None
    """Text file with the id of each row of file, one a line."""

    dimension: int = Field(256, ge=1, le=4096)
    """Largest dimension; longer vectors keep their main directions."""

    whiten: bool = False
    """Scale all directions of the vectors to equal variance."""

    @model_validator(mode="after")
    def _one_source(self) -> VectorsConfig:
        if bool(self.column) == (self.file is not None) or (self.file is None) != (self.ids is None):
            raise ValueError("name either a column, or a file together with its ids")
        return self


class Vectors(ProjectedVectors):
    """Linear map of vectors that you bring along, which starts as the identity; an item without one learns its own."""

    name = "vectors"
    Config = VectorsConfig

    @classmethod
    def features(cls, config: VectorsConfig, entities: Entities) -> Features:
        """The vectors, centred, turned to their main directions and scaled to length 1."""
        raw, is_known = _read(config, entities)
        return _prepared(raw, is_known, fit_whitening(raw[is_known], config.dimension, scaled=config.whiten))

    @classmethod
    def extend(cls, config: VectorsConfig, entities: Entities, base: Features) -> Features:
        """The vectors, centred and turned as those of `base`."""
        raw, is_known = _read(config, entities)
        mean, rotation = (np.asarray(base.arrays[name], dtype=np.float32) for name in ("mean", "rotation"))
        if len(mean) != raw.shape[1]:
            raise ConfigError(
                f"encoder vectors: the vectors have {raw.shape[1]} numbers, those of the first run {len(mean)}. "
                "Take the same model for both."
            )
        return _prepared(raw, is_known, Whitening(mean, rotation))


def _prepared(raw: Floats, is_known: npt.NDArray[np.bool_], whitening: Whitening) -> Features:
    vectors = unit_rows(whitening.apply(raw))
    vectors[~is_known] = 0
    return Features(len(raw), {"vectors": vectors, "mean": whitening.mean, "rotation": whitening.rotation})


def _read(config: VectorsConfig, entities: Entities) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """(N, d) the vectors of all entities, and (N,) of which there is one; raises DataError for faulty ones."""
    if config.file is None:
        (cells,) = feature_columns(entities, [config.column], "vectors").values()
        return _stacked(f"column '{config.column}'", cells.tolist())
    assert config.ids is not None
    table, ids = _table(config.file), _lines(config.ids)
    if len(table) != len(ids):
        raise DataError(
            f"encoder vectors: {config.file} has {len(table):,} rows and {config.ids} {len(ids):,} ids. Each row needs "
            "one id."
        )
    if len(set(ids)) < len(ids):
        raise DataError(f"encoder vectors: {config.ids} holds an id twice. Keep one row an id.")
    own = entities.frame.iloc[:, 0].astype("str")
    rows = pd.Index(ids).get_indexer(pd.Index(own))
    if (rows < 0).all():
        raise DataError(
            f"encoder vectors: no id of {config.ids}, such as {ids[0]!r}, is one of the data, such as {own.iloc[0]!r}. "
            "Write them as the log does, without spaces around them."
        )
    return _stacked(str(config.file), [table[row] if row >= 0 else None for row in rows])


def _table(path: Path) -> npt.NDArray[Any]:
    try:
        table = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise DataError(
            f"encoder vectors: {path} is no file of numbers: {error}. Write one with numpy.save(path, vectors)."
        ) from None
    if table.ndim != 2 or table.dtype.kind not in "fiu":
        raise DataError(
            f"encoder vectors: {path} holds an array of shape {table.shape} and type {table.dtype}. It must be a table "
            "of numbers, one row an id."
        )
    return table


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"encoder vectors: {path} is no text file in UTF-8: {error}.") from None


def _stacked(place: str, cells: Sequence[Any]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The cells as rows of one length; a missing cell and a zero vector are unknown."""
    vectors = [None if _is_missing(cell) else _numbers(place, cell) for cell in cells]
    lengths = {len(vector) for vector in vectors if vector is not None}
    if len(lengths) != 1:
        what = f"vectors of {' and '.join(map(str, sorted(lengths)[:3]))} numbers" if lengths else "no vector at all"
        raise DataError(f"encoder vectors: {place} holds {what}. All need the same number of numbers.")
    table = np.zeros((len(cells), lengths.pop()), dtype=np.float32)
    for row, vector in enumerate(vectors):
        if vector is not None:
            table[row] = vector
    is_known = np.asarray(table.any(axis=1))
    if not is_known.any():
        raise DataError(f"encoder vectors: {place} holds no vector but zero.")
    return table, is_known


def _is_missing(cell: Any) -> bool:
    return cell is None or (not isinstance(cell, (list, tuple, np.ndarray)) and bool(pd.isna(cell)))


def _numbers(place: str, cell: Any) -> Floats:
    text = cell.strip().strip("[]").replace(",", " ").split() if isinstance(cell, str) else cell
    try:
        vector = np.asarray(text, dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.array(np.nan, dtype=np.float32)
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise DataError(f"encoder vectors: {place} holds {str(cell)[:60]!r}, which is no list of finite numbers.")
    return vector
