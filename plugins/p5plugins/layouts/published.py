"""Loaders of published data sets: each is a declaration over the table loader."""

from __future__ import annotations

import lzma
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from p5core.config.base import ExpandedPath
from p5core.contracts.loader import Loader
from p5core.data.profile.preview import Preview
from p5core.data.raw import RawData, Scan
from p5core.data.tables.plain_text import Scratch, unpacked
from p5core.errors import ConfigError, DataError
from p5core.system.messages import Message
from p5plugins.loaders.table import Table, TableConfig

__all__ = ["Published", "PublishedConfig", "Variant"]

TABLE_OPTIONS = TableConfig.model_fields.keys() - {"path"}
HEAD_BYTES = 2**20
"""A first line with a review may be long."""


@dataclass(frozen=True)
class Variant:
    """One file format of a data set."""

    log: str
    """pattern of the file of interactions, or of several"""

    options: Mapping[str, Any] = field(default_factory=dict)
    """options of the table loader"""

    items: str = ""
    """pattern of the file of items, which may be absent"""

    users: str = ""
    """pattern of the file of users, which may be absent"""

    begins: str = ""
    """regular expression of the first line"""

    convert: Callable[[list[Path], Path], RawData] | None = None
    """reads files that are no table, with a folder for temporary ones"""


class PublishedConfig(TableConfig):
    """Options of the loaders of published data sets: those of the table loader go before those of the format."""

    path: ExpandedPath
    """Folder of the data set, as published, or its file of interactions."""

    @property
    def chosen(self) -> dict[str, Any]:
        """The options of the table loader that were set, but for the path."""
        return {name: getattr(self, name) for name in self.model_fields_set & TABLE_OPTIONS}


class Published(Loader):
    """Base of the loaders of published data sets."""

    Config = PublishedConfig
    config: PublishedConfig

    variants: ClassVar[Mapping[str, Variant]]
    """Name → file format."""

    home: ClassVar[str]
    """Address at which the data set is published."""

    confidence: ClassVar[float] = 0.8
    """With which a folder or file is recognised."""

    @classmethod
    def recognises(cls, path: Path) -> float:
        """A folder or file with the names and the first line of one of the formats."""
        if not path.exists():
            return 0.0
        return cls.confidence if cls._find(path) else 0.0

    def load(self) -> RawData:
        """Read the files; raises DataError when none of the formats is there."""
        path = self.place()
        match = self._find(path) or self._find_by_line(path)
        if match is None:
            patterns = ", ".join(dict.fromkeys(variant.log for variant in self.variants.values()))
            raise DataError(f"{path} is no folder of '{self.name}': it has none of {patterns}. Check the path.")
        name, variant, files = match
        raw = self._converted(name, variant, files) if variant.convert else self._table(path, variant, files).load()
        note = Message("read as {name}, in the format {variant}", name=self.name, variant=name)
        return replace(raw, source=f"{self.name} in {path}", notes=(note, *raw.notes))

    def preview(self, n_rows: int = 1_000) -> Preview:
        """The first rows of a table as they stand in its file; those of other formats as they are read."""
        path = self.place()
        match = self._find(path) or self._find_by_line(path)
        if match is None or match[1].convert:
            return super().preview(n_rows)
        return self._table(path, match[1], match[2]).preview(n_rows)

    def place(self) -> Path:
        """The folder or file of the data set; raises DataError if there is none."""
        if not self.config.path.exists():
            raise DataError(f"There is no {self.config.path}. Get the data set from {self.home} and unpack it there.")
        return self.config.path

    @classmethod
    def _find(cls, path: Path) -> tuple[str, Variant, list[Path]] | None:
        for name, variant in cls.variants.items():
            if path.is_dir():
                files = sorted(file for file in path.glob(variant.log) if file.is_file())
            else:
                files = [path] if fnmatch(path.name, Path(variant.log).name) else []
            if files and re.match(variant.begins, _first_line(files[0])):
                return name, variant, files
        return None

    @classmethod
    def _find_by_line(cls, path: Path) -> tuple[str, Variant, list[Path]] | None:
        """The format of a file with a name of its own."""
        if not path.is_file():
            return None
        formats = [(name, variant) for name, variant in cls.variants.items() if variant.begins]
        chosen = next((pair for pair in formats if re.match(pair[1].begins, _first_line(path))), None)
        return (*chosen, [path]) if chosen else None

    def _table(self, path: Path, variant: Variant, files: list[Path]) -> Table:
        folder = path if path.is_dir() else path.parent
        log = path if path.is_file() else files[0] if len(files) == 1 else folder / variant.log
        options = dict(variant.options)
        for key, pattern in (("items", variant.items), ("users", variant.users)):
            matches = _companions(folder, pattern, files)
            if matches:
                options[key] = matches[0] if len(matches) == 1 else folder / pattern
            elif key not in self.config.chosen:
                options = {name: value for name, value in options.items() if not name.startswith(f"{key}_")}
        return Table(TableConfig.model_validate({**options, **self.config.chosen, "path": log}))

    def _converted(self, name: str, variant: Variant, files: list[Path]) -> RawData:
        assert variant.convert is not None
        reading = self.config.reading | {"id_type": self.config.reading["id_types"]}
        foreign = sorted(self.config.chosen.keys() - reading.keys())
        if foreign:
            raise ConfigError(
                f"data: the files of '{self.name}' in the format '{name}' are no plain tables, so '{foreign[0]}' does "
                "not apply. Remove it."
            )
        scratch = Scratch()
        try:
            raw = variant.convert(files, scratch.folder)
        except (duckdb.Error, ValueError, KeyError, OSError) as error:
            fault = str(error).strip().splitlines()[0].rstrip(".")
            raise DataError(
                f"{files[0].name} is no file of '{self.name}' in the format '{name}', or is damaged: {fault}. Repair "
                "it, or read it as a table: --set name=table."
            ) from None
        options = {"id_types" if name == "id_type" else name: reading[name] for name in self.config.chosen}
        raw = replace(raw, **options)
        if isinstance(raw.interactions, Scan):
            owned = (scratch, raw.interactions.scratch)
            raw = replace(raw, interactions=replace(raw.interactions, scratch=owned))
        return raw


def _companions(folder: Path, pattern: str, logs: list[Path]) -> list[Path]:
    """The tables beside a log; `meta_*.json*` means that of the category that the log is of, and of all for several."""
    if not pattern:
        return []
    tables = sorted(folder.glob(pattern))
    prefix, star, ending = pattern.partition(".")[0].partition("*")
    if not (prefix and star) or ending or len(logs) > 1:
        return tables
    log = re.sub(r"^(reviews|ratings)_", "", logs[0].name.partition(".")[0])
    return [table for table in tables if _is_of(log, table.name.partition(".")[0].removeprefix(prefix))]


def _is_of(log: str, category: str) -> bool:
    """True if the log All_Beauty_5 is of the category All_Beauty, or interactions_poetry of _poetry."""
    return log == category or log.startswith(f"{category}_") or (category[:1] in ("", "_") and log.endswith(category))


def _first_line(file: Path) -> str:
    """The first line of a text, the names of the columns of a Parquet file, nothing of others."""
    if file.suffix in (".xlsx", ".xls"):
        return ""
    try:
        if file.suffix == ".parquet":
            return ",".join(pq.read_schema(file).names)
        with unpacked(file) as stream:
            head: bytes = stream.read(HEAD_BYTES)
    except (OSError, EOFError, pa.ArrowInvalid, zipfile.BadZipFile, lzma.LZMAError, DataError):
        return ""
    return head.decode("utf-8", errors="replace").lstrip("\ufeff").split("\n", 1)[0]
