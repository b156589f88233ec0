"""Loaders of published data sets: each is a declaration over the table loader."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from p5core.config.base import Config, ExpandedPath
from p5core.contracts.loader import Loader
from p5core.data.raw import RawData, Scan
from p5core.data.tables.plain_text import Scratch
from p5core.errors import DataError
from p5core.system.messages import Message
from p5plugins.loaders.table import Table, TableConfig

__all__ = ["Published", "PublishedConfig", "Variant"]

HEAD_BYTES = 4_096


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


class PublishedConfig(Config):
    """Options of the loaders of published data sets."""

    path: ExpandedPath
    """Folder of the data set, as published, or its file of interactions."""

    domain: str | None = Field(None, min_length=1)
    """Domain of all items."""

    on_error: str = Field("refuse", pattern="refuse|drop")
    """Refuse a log with unreadable rows, or drop such rows and list them."""


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
        path = self.config.path
        if not path.exists():
            raise DataError(f"There is no {path}. Get the data set from {self.home} and unpack it there.")
        match = self._find(path) or self._find_by_line(path)
        if match is None:
            patterns = ", ".join(dict.fromkeys(variant.log for variant in self.variants.values()))
            raise DataError(f"{path} is no folder of '{self.name}': it has none of {patterns}. Check the path.")
        name, variant, files = match
        raw = self._converted(variant, files) if variant.convert else self._table(path, variant, files)
        note = Message("read as {name}, in the format {variant}", name=self.name, variant=name)
        return replace(raw, source=f"{self.name} in {path}", notes=(note, *raw.notes))

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

    def _table(self, path: Path, variant: Variant, files: list[Path]) -> RawData:
        folder = path if path.is_dir() else path.parent
        log = path if path.is_file() else files[0] if len(files) == 1 else folder / variant.log
        options = dict(variant.options)
        for key, pattern in (("items", variant.items), ("users", variant.users)):
            matches = sorted(folder.glob(pattern)) if pattern else []
            if matches:
                options[key] = matches[0]
            else:
                options = {name: value for name, value in options.items() if not name.startswith(f"{key}_")}
        config = TableConfig.model_validate(
            {"domain": self.config.domain, **options, "path": log, "on_error": self.config.on_error}
        )
        return Table(config).load()

    def _converted(self, variant: Variant, files: list[Path]) -> RawData:
        assert variant.convert is not None
        scratch = Scratch()
        raw = variant.convert(files, scratch.folder)
        if isinstance(raw.interactions, Scan):
            owned = (scratch, raw.interactions.scratch)
            raw = replace(raw, interactions=replace(raw.interactions, scratch=owned))
        return raw


def _first_line(file: Path) -> str:
    if file.suffix in (".parquet", ".xlsx", ".xls", ".zip"):
        return ""
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            head: bytes = stream.read(HEAD_BYTES)
    except (OSError, pa.ArrowInvalid):
        return ""
    return head.decode("utf-8", errors="replace").lstrip("\ufeff").split("\n", 1)[0]
