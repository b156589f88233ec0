"""Published data sets from their public addresses, with checksums."""

from __future__ import annotations

import os
import shutil
import tarfile
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePosixPath

import pooch
import requests
from platformdirs import user_cache_dir
from rich.console import Console
from rich.progress import DownloadColumn, Progress

from p5core.errors import DataError
from p5core.system.folders import hidden_path, remove_leftovers, replace_folder

__all__ = ["cache_folder", "fetch", "fetchable"]

CONNECT_SECONDS, READ_SECONDS = 4, 60
ARCHIVE_ENDINGS = (".zip", ".tar.gz")


def cache_folder() -> Path:
    """Folder of downloads: the environment variable P5_CACHE, else the user's cache folder."""
    return Path(os.environ.get("P5_CACHE") or user_cache_dir("p5")).expanduser()


def fetchable(loader: str) -> Mapping[str, Mapping[str, str]]:
    """Data sets that a loader can fetch: name → address of a file → checksum, such as "md5:0e33…"."""
    text = resources.files("p5plugins.loaders").joinpath("archives.toml").read_text("utf-8")
    files: Mapping[str, Mapping[str, str]] = tomllib.loads(text).get(loader, {})
    return files


def fetch(loader: str, name: str) -> Path:
    """The folder of a data set, downloaded and unpacked if it is not there yet.

    Raises DataError that names the address and the folder for a file that was brought by hand.
    """
    folder = cache_folder() / loader / name.replace(" ", "-")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unpacked = folder / "unpacked"
        if unpacked.is_dir():
            return _innermost(unpacked)
        files = [_download(address, checksum, folder) for address, checksum in fetchable(loader)[name].items()]
        archives = [file for file in files if file.name.endswith(ARCHIVE_ENDINGS)]
        return _innermost(_unpack(archives, unpacked)) if archives else folder
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}). Set P5_CACHE to another folder.") from None


def _download(address: str, checksum: str, folder: Path) -> Path:
    """Fetch a file; a copy that is in the folder is taken if it is whole."""
    name = address.rsplit("/", 1)[-1]
    downloader = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, READ_SECONDS), progressbar=_DownloadBar(name))
    try:
        return Path(pooch.retrieve(address, checksum, name, folder, downloader=downloader))
    except (requests.RequestException, ValueError) as error:
        if (folder / name).exists():
            raise DataError(
                f"{folder / name} has another checksum than {address}, which could not be fetched: {_reason(error)}. "
                "Put the published file there, or set path to the folder of the data set."
            ) from None
        raise DataError(
            f"{address} could not be fetched: {_reason(error)}. Get it by another way and put it into {folder} as "
            f"{name}, or set path to the folder of the data set."
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return "its checksum is another one"
    response = getattr(error, "response", None)
    return "no connection" if response is None else f"the server answered {response.status_code}"


def _unpack(archives: list[Path], folder: Path) -> Path:
    """Unpack archives into a folder that appears when it is whole; the archives themselves go."""
    remove_leftovers(folder.parent)
    hidden = hidden_path(folder)
    try:
        for archive in archives:
            _extract(archive, hidden)
        replace_folder(hidden, folder)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    for archive in archives:
        archive.unlink(missing_ok=True)
    return folder


def _extract(archive: Path, folder: Path) -> None:
    """Unpack a zip, or a tar of plain files; Python before 3.11.4 has no filter against other ones."""
    if not archive.name.endswith(".tar.gz"):
        shutil.unpack_archive(archive, folder)
        return
    with tarfile.open(archive) as members:
        for member in members:
            place = PurePosixPath(member.name)
            content = members.extractfile(member) if member.isfile() else None
            if place.is_absolute() or ".." in place.parts or not (content or member.isdir()):
                raise DataError(f"{archive} holds '{member.name}', which is no plain file below its folder.")
            if content:
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                with (folder / place).open("wb") as file:
                    shutil.copyfileobj(content, file)


def _innermost(folder: Path) -> Path:
    """The folder, or the one in it that holds all."""
    while [entry.is_dir() for entry in folder.iterdir()] == [True]:
        folder = next(folder.iterdir())
    return folder


class _DownloadBar:
    """A progress bar in the form that pooch calls, which draws on standard error if that is a terminal."""

    def __init__(self, name: str) -> None:
        self._bar = Progress(*Progress.get_default_columns(), DownloadColumn(), console=Console(stderr=True))
        self._task = self._bar.add_task(name, total=None)
        self.total = 0

    def update(self, n_bytes: int) -> None:
        """Add bytes that have arrived."""
        self._bar.start()
        self._bar.update(self._task, total=self.total or None, advance=n_bytes)

    def reset(self) -> None:
        """Begin again from nothing."""
        self._bar.reset(self._task, total=self.total or None)

    def close(self) -> None:
        """Stop drawing."""
        self._bar.stop()
