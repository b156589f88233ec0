"""The folder of an export and its integrity checks. Needs neither torch nor onnx.

model.onnx    history (or user), k → items, scores, metadata columns
score.onnx    history (or user), candidates → scores, ratings
p5.json       signature, hashes, parity, metrics, data, plugins, and a hash of all that
p5.sig        Ed25519 signature of p5.json, where one was asked for
golden.json   inputs and the outputs that belong to them
README.md     what it was trained on, how good it is, how to call it
LICENSE.md    what is known of the licences of model and data
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p5core.errors import ExportError
from p5core.system.files import read_json, sha256
from p5core.system.folders import hidden_path
from p5export.bundle.external_data import external_files

__all__ = ["FORMAT", "REQUIRED", "SEAL", "Bundle", "opened", "seal", "zip_folder"]

FORMAT = 2
"""Version of the folder's layout; 1, which has no seal and no golden case without a row, is read as well."""

SEAL = "seal"
"""Key of the hash over everything else in p5.json."""

Stamps = Mapping[str, tuple[int, int, int] | None]
"""File → inode, size and time of the last change; None for a missing one."""

REQUIRED: Mapping[str, type | tuple[type, ...]] = {
    "p5": str,
    "run": str,
    "id_kind": str,
    "padding": str,
    "inputs": dict,
    "outputs": dict,
    "score_inputs": dict,
    "score_outputs": dict,
    "n_items": int,
    "tolerance": dict,
    "files": dict,
}
"""Required keys of p5.json and their types."""

NAMES = {
    "model.onnx",
    "model.onnx.data",
    "score.onnx",
    "score.onnx.data",
    "p5.json",
    "p5.sig",
    "golden.json",
    "README.md",
    "LICENSE.md",
}
MAX_UNPACKED = 16 * 2**30
MAX_RATIO = 200
"""A zip may not unpack to more bytes, or to more times its own size."""


@dataclass(frozen=True)
class Bundle:
    """An exported model in its folder."""

    folder: Path
    manifest: Mapping[str, Any]
    """content of p5.json"""

    @classmethod
    def load(cls, folder: Path | str) -> Bundle:
        """Read p5.json; raises ExportError for what is none, or of another version."""
        folder = Path(folder)
        path = folder / "p5.json"
        if not path.is_file():
            raise ExportError(f"{folder} is no exported model: it has no p5.json. Make one with 'p5 export RUN'.")
        try:
            manifest = dict(read_json(path))
            version = manifest["format"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _damaged(path) from None
        if version not in (1, FORMAT) or isinstance(version, bool):
            raise ExportError(f"{folder} has format {version}; this version of P5 reads format 1 and {FORMAT}.")
        if not _is_complete(manifest):
            raise _damaged(path)
        if version == FORMAT and manifest.get(SEAL) != seal(manifest):
            raise ExportError(f"{path} was changed after the export: its seal differs. Export the run again.")
        return cls(folder, manifest)

    @property
    def is_sealed(self) -> bool:
        """True if p5.json has a hash over itself; exports of P5 0.1.0 have none."""
        return bool(self.manifest["format"] == FORMAT)

    @property
    def id_kind(self) -> str:
        """ "string" or "int64": type of the item ids."""
        return str(self.manifest["id_kind"])

    @property
    def padding(self) -> str | int:
        """Padding value of histories and answers."""
        return -(2**63) if self.id_kind == "int64" else ""

    @property
    def uses_history(self) -> bool:
        """True if the model reads a `history`, False if it reads a `user`."""
        return "history" in self.manifest["inputs"]

    def stamps(self) -> Stamps:
        """Inode, size and modification time of each file; they change when a file is replaced."""
        return {name: _stamp(self.folder / name) for name in ("p5.json", *sorted(self.manifest["files"]))}

    def refuse_foreign_files(self) -> None:
        """Raise ExportError for a file in the folder that is none of the export."""
        for path in sorted(self.folder.iterdir()):
            if path.name not in NAMES:
                raise ExportError(f"{path} is no file of the export. Move it away.")

    def check(self) -> None:
        """Compare every file with its hash; raises ExportError for one that is missing, changed or foreign.

        ONNX Runtime would read whatever file a model names as its weights; one that is not listed is refused here.
        """
        files = self.manifest["files"]
        for name in sorted(files):
            if name not in NAMES:
                raise ExportError(f"{self.folder}/p5.json names the file '{name}', which is no part of an export.")
            path = self.folder / name
            if path.is_symlink() or not path.is_file():
                raise ExportError(f"{self.folder} lacks its file {name}. Copy it again or export the run again.")
            if sha256(path) != files[name]:
                raise ExportError(f"{path} was changed after the export: its hash differs. Export the run again.")
        if not {"model.onnx", "score.onnx", "golden.json"} <= set(files):
            raise ExportError(f"{self.folder}/p5.json does not list all files of an export.")
        for name in (name for name in files if name.endswith(".onnx")):
            for other in external_files(self.folder / name):
                if other != f"{name}.data" or other not in files:
                    raise ExportError(f"{self.folder / name} reads {other!r}, which is no file of the export.")


def seal(manifest: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the content of p5.json, the seal itself left out, whatever the order of its keys."""
    content = {name: value for name, value in manifest.items() if name != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _is_complete(manifest: Mapping[str, Any]) -> bool:
    """True if all required keys are present with the right types."""
    if not all(isinstance(manifest.get(name), kind) for name, kind in REQUIRED.items()):
        return False
    tolerance = [manifest["tolerance"].get(name) for name in ("relative", "absolute")]
    texts = [*manifest["files"], *manifest["files"].values()]
    return (
        manifest["id_kind"] in ("string", "int64")
        and ("history" in manifest["inputs"] or manifest.get("user_kind") in ("string", "int64"))
        and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in tolerance)
        and all(isinstance(text, str) for text in texts)
    )


def _damaged(path: Path) -> ExportError:
    return ExportError(f"{path} cannot be read; the file is damaged. Export the run again.")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def zip_folder(folder: Path, target: Path) -> None:
    """Pack an export; equal folders give equal files."""
    partial = hidden_path(target)
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.iterdir()):
                entry = zipfile.ZipInfo(path.name, date_time=(1980, 1, 1, 0, 0, 0))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as packed:
                    shutil.copyfileobj(source, packed)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def opened(path: Path | str) -> Iterator[Path]:
    """The folder of an export; a zip is unpacked into a temporary one after it was found harmless."""
    path = Path(path)
    if path.is_dir() or path.suffix != ".zip":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="p5-") as folder:
        _unpack(path, Path(folder))
        yield Path(folder)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, entries)
            for entry in entries:
                with archive.open(entry) as packed, (folder / entry.filename).open("wb") as target:
                    _copy_exactly(packed, target, entry)
    except (OSError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path} cannot be unpacked: {error}") from None


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Only the files of an export, flat, each once, none a link, of a size that can be."""
    names = [entry.filename for entry in entries]
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.filename not in NAMES or kind not in (0, stat.S_IFREG):
            raise ExportError(f"{path} holds {entry.filename!r}, which is no file of an export. It was not unpacked.")
    if len(set(names)) < len(names):
        raise ExportError(f"{path} holds a file twice. It was not unpacked.")
    size = sum(entry.file_size for entry in entries)
    if size > min(MAX_UNPACKED, max(MAX_RATIO * path.stat().st_size, 2**20)):
        raise ExportError(f"{path} would unpack to {size:,} bytes, which no export does. It was not unpacked.")


def _copy_exactly(packed: Any, target: Any, entry: zipfile.ZipInfo) -> None:
    """Copy at most what the directory of the zip says."""
    left = entry.file_size
    while block := packed.read(min(2**20, left + 1)):
        left -= len(block)
        if left < 0:
            raise ExportError(f"{entry.filename} is longer than the zip says. It was not unpacked.")
        target.write(block)
