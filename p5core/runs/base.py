"""Bases: folders with the weights of a pre-trained network and no data, which can be given away.

BASE/
  base.json             network, parts, what it was trained on, licence
  weights.safetensors   weights; of tensors with a row for each item or user the mean row alone, unless items are kept
  features/             what encoders must know to read other items, one file each
  items.parquet         only if items are kept: their ids, domains and titles
  README.md             the same for people
  manifest.json         SHA-256 of all files
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p5core.errors import RunError
from p5core.runs.documents import Manifest, PartRecord, Versioned
from p5core.runs.run import read_document
from p5core.system.files import sha256, write_json

__all__ = ["BASE_FORMAT", "Base", "BaseInfo", "TrainedOn", "is_base", "open_base"]

BASE_FORMAT = 1


class TrainedOn(Versioned):
    """A data set that a base was trained on, by numbers alone."""

    format: int = BASE_FORMAT
    stage: str
    domains: list[str]
    users: int
    items: int
    events: int


class BaseInfo(Versioned):
    """base.json: origin and contents of a base."""

    p5: str
    created: str
    run: str
    """name of the run that it was made from"""

    model: dict[str, Any]
    """the section [model] of the experiment, without scorers"""

    parts: list[PartRecord]
    trained_on: list[TrainedOn]
    licence: str
    """licence of the weights, as whoever made them says"""

    features: dict[str, dict[str, str]]
    """place of an encoder → provenance of what computed its features"""

    metrics: dict[str, float]
    """figures of the network on the validation events of the run"""

    row_labels: dict[str, str | list[str]]
    """state-dict name → labels of its rows"""

    keeps_items: bool
    """True if the items' own vectors are kept, by domain and id"""


@dataclass(frozen=True)
class Base:
    """A base folder."""

    path: Path

    @property
    def weights(self) -> Path:
        """The trained network."""
        return self.path / "weights.safetensors"

    @property
    def features(self) -> Path:
        """The shared features of encoders, by which they read other items."""
        return self.path / "features"

    @property
    def items(self) -> Path:
        """Ids, domains and titles of the items that are kept."""
        return self.path / "items.parquet"

    def info(self) -> BaseInfo:
        """Origin and contents; raises RunError when it is damaged or of another version."""
        version = read_document(self.path / "base.json", Versioned).format
        if version != BASE_FORMAT:
            raise RunError(f"Base {self.path} has format {version}; this version of P5 reads format {BASE_FORMAT}.")
        return read_document(self.path / "base.json", BaseInfo)

    def seal(self) -> None:
        """Record the hashes of all files."""
        files = {name: sha256(self.path / name) for name in self._names()}
        write_json(self.path / "manifest.json", Manifest(format=BASE_FORMAT, files=files).model_dump())

    def seal_hash(self) -> str:
        """SHA-256 of the manifest, which tells a base from every other."""
        return sha256(self.path / "manifest.json")

    def verify(self) -> None:
        """Raise RunError unless the files are those that were written."""
        files = read_document(self.path / "manifest.json", Manifest).files
        names = set(self._names())
        if missing := sorted(files.keys() - names):
            raise RunError(f"Base {self.path} lacks its file {missing[0]}. Copy it again.")
        if unlisted := sorted(names - files.keys()):
            raise RunError(f"Base {self.path} was written without its file {unlisted[0]}. Copy it again.")
        for name, expected in files.items():
            if sha256(self.path / name) != expected:
                raise RunError(f"{self.path / name} was changed since P5 wrote it: its hash differs. Copy it again.")

    def _names(self) -> list[str]:
        """All files but the manifest, relative to the folder."""
        paths = [path for path in sorted(self.path.rglob("*")) if path.is_file() and path.name != "manifest.json"]
        return [path.relative_to(self.path).as_posix() for path in paths]


def is_base(path: Path) -> bool:
    """True if a folder holds a base."""
    return (path / "base.json").is_file()


def open_base(path: Path) -> Base:
    """A base whose files are as they were written; raises RunError."""
    base = Base(path)
    base.info()
    base.verify()
    return base
