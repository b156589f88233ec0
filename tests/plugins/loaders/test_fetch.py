"""Data sets that are fetched from a server and found by their loaders."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from p5core.config.base import parse_config
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare_more
from p5core.errors import ConfigError, DataError
from p5core.system.folders import HOST
from p5plugins.layouts.films import Jester
from p5plugins.layouts.places import Gowalla, Steam
from p5plugins.layouts.reading import Goodreads, LastFM
from p5plugins.layouts.shops import AmazonReviews, OnlineRetail
from p5plugins.loaders import fetch
from p5plugins.loaders.movielens import MovieLens

PLAYS = "userID\tartistID\tweight\n2\t51\t13\n2\t52\t11\n4\t51\t3\n"
ARTISTS = "id\tname\turl\tpictureURL\n51\tA\tu\tp\n52\tB\tu\tp\n"
TRACKS = "user_000001\t2009-05-04T23:08:57Z\ta\tDeep Dish\tb\tFuck Me\n"
SHELF = '{"user_id": "u", "book_id": "7", "date_added": "Sun Jul 30 07:44:10 -0700 2017", "rating": 5}\n'
REVIEW = "{'username': 'Ann', 'product_id': '10', 'date': '2018-01-03', 'text': 'good'}\n"
PURCHASES = "InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID\n1,85123A,6,12/1/2010 8:26,17850\n"
JOKES = "".join(f"3,{','.join(['99'] * 97)},{rating},1,2\n" for rating in (5, -5))
LOADERS = {
    loader.name: loader
    for loader in (AmazonReviews, Goodreads, Gowalla, Jester, LastFM, MovieLens, OnlineRetail, Steam)
}
SETS = [
    (LastFM, "hetrec", {"hetrec2011-lastfm-2k.zip": {"user_artists.dat": PLAYS, "artists.dat": ARTISTS}}, 3),
    (LastFM, "1K", {"lastfm-dataset-1K.tar.gz": {
        "lastfm-dataset-1K/userid-timestamp-artid-artname-traid-traname.tsv": TRACKS}}, 1),
    (LastFM, "360K", {"lastfm-dataset-360K.tar.gz": {
        "lastfm-dataset-360K/usersha1-artmbid-artname-plays.tsv": f"{'0' * 40}\tm\tband\t21\n"}}, 1),
    (AmazonReviews, "2014 Beauty", {"ratings_Beauty.csv": "A39HTATAQ9V7YF,0205616461,5.0,1369699200\n"}, 1),
    (AmazonReviews, "2018 Gift_Cards", {"Gift_Cards.csv": "B001GXRQW0,APV13CM0919JD,1.0,1229644800\n"}, 1),
    (AmazonReviews, "2023 Gift_Cards", {
        "Gift_Cards.csv.gz": "user_id,parent_asin,rating,timestamp\nAG,B0,5.0,1549866158332\n"}, 1),
    (Goodreads, "poetry", {"goodreads_interactions_poetry.json.gz": SHELF}, 1),
    (Gowalla, "gowalla", {"loc-gowalla_totalCheckins.txt.gz": "0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847\n"}, 1),
    (Steam, "reviews", {"steam_reviews.json.gz": REVIEW}, 1),
    (OnlineRetail, "I", {"online+retail.zip": {"Online Retail.csv": PURCHASES}}, 1),
    (Jester, "1", {
        f"jester_dataset_1_{part}.zip": {f"jester-data-{part}.csv": JOKES} for part in (1, 2, 3)}, 18),
]  # fmt: skip


def pack(name: str, content: str | dict[str, str]) -> bytes:
    """The bytes of a published file: an archive, a compressed text or a text."""
    buffer = io.BytesIO()
    if isinstance(content, str):
        return gzip.compress(content.encode(), mtime=0) if name.endswith(".gz") else content.encode()
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as archive:
            for file, text in content.items():
                archive.writestr(file, text)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for file, text in content.items():
                member = tarfile.TarInfo(file)
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Server:
    """A web server with the files of a data set, which stand in for the published ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.folder, self.monkeypatch, self.requests = folder, monkeypatch, []
        requests = self.requests

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, form: str, *arguments: object) -> None:
                requests.append(Path(self.path).name)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def publish(self, loader: str, name: str, files: dict[str, bytes], checksum: str = "") -> None:
        """Serve the files of a data set, whose published names they must have."""
        assert [address.rsplit("/", 1)[-1] for address in fetch.fetchable(loader)[name]] == list(files)
        digests = {}
        for file, content in files.items():
            (self.folder / file).write_bytes(content)
            address = f"http://127.0.0.1:{self.http.server_port}/{file}"
            digests[address] = checksum or f"sha256:{hashlib.sha256(content).hexdigest()}"
        published = {**fetch.fetchable(loader), name: digests}
        self.monkeypatch.setattr(fetch, "fetchable", lambda asked: published if asked == loader else {})


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("P5_CACHE", str(tmp_path / "cache"))
    running = Server(tmp_path / "web", monkeypatch)
    yield running
    running.http.shutdown()
    running.http.server_close()


def events(loader: Any, **options: object) -> int:
    raw = loader(parse_config(loader.Config, options, "data")).load()
    return len(prepare_more(raw, PrepareConfig(keep="all"))[0].events)


@pytest.mark.parametrize(
    ("loader", "name", "files", "n_events"), SETS, ids=[f"{loader.name} {name}" for loader, name, *_ in SETS]
)
def test_a_set_is_fetched_once_and_read(server, loader, name, files, n_events):
    server.publish(loader.name, name, {file: pack(file, content) for file, content in files.items()})
    assert events(loader, fetch=name) == n_events
    assert server.requests == list(files)
    assert events(loader, fetch=name) == n_events
    assert server.requests == list(files), "the second time it is there"


def test_movielens_is_fetched_by_its_size(server):
    ratings = "".join(f"{user}::{item}::4::{user + item}\n" for user in (1, 2) for item in (1, 2))
    content = {"ml-10M100K/ratings.dat": ratings, "ml-10M100K/movies.dat": "1::A (1990)::Comedy\n2::B (1991)::Drama\n"}
    server.publish("movielens", "10m", {"ml-10m.zip": pack("ml-10m.zip", content)})
    raw = MovieLens(parse_config(MovieLens.Config, {"size": "10m"}, "data")).load()
    assert raw.source == "MovieLens-10M"
    assert raw.items is not None
    assert raw.items["title"].tolist() == ["A", "B"]


def test_a_file_with_another_checksum_is_not_used(server):
    server.publish("gowalla", "gowalla", {"loc-gowalla_totalCheckins.txt.gz": b"another"}, checksum="md5:" + "0" * 32)
    with pytest.raises(
        DataError, match=r"Checkins\.txt\.gz could not be fetched: its checksum is another one\. Get it"
    ):
        events(Gowalla, fetch="gowalla")
    assert list((fetch.cache_folder() / "gowalla" / "gowalla").iterdir()) == []


def test_a_file_that_the_server_lacks_is_told(server):
    server.publish("gowalla", "gowalla", {"loc-gowalla_totalCheckins.txt.gz": b"gone"})
    (server.folder / "loc-gowalla_totalCheckins.txt.gz").unlink()
    with pytest.raises(DataError, match=r"could not be fetched: the server answered 404\. Get it by another way"):
        events(Gowalla, fetch="gowalla")


def test_without_a_network_a_file_is_taken_from_the_folder_that_is_named(server):
    files = {name: pack(name, content) for name, content in SETS[1][2].items()}
    server.publish("lastfm", "1K", files)
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(DataError, match=r"no connection\. Get it by another way and put it into ") as error:
        events(LastFM, fetch="1K")
    place = re.search(r"put it into (.+) as (.+), or", str(error.value))
    assert place
    Path(place[1], place[2]).write_bytes(files[place[2]])
    assert events(LastFM, fetch="1K") == 1


def test_unpacking_that_was_cut_off_begins_again(server, monkeypatch):
    server.publish("lastfm", "hetrec", {name: pack(name, content) for name, content in SETS[0][2].items()})
    whole = fetch.shutil.unpack_archive

    def cut(archive: Path, folder: Path, **options: object) -> None:
        whole(archive, folder, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch.shutil, "unpack_archive", cut)
    with pytest.raises(DataError, match=r"hetrec cannot be written \(No space left on device\)\. Set P5_CACHE"):
        events(LastFM, fetch="hetrec")
    monkeypatch.setattr(fetch.shutil, "unpack_archive", whole)
    of_a_killed_process = fetch.cache_folder() / "lastfm" / "hetrec" / f".unpacked.p5-{HOST}-{2**22 + 1}"
    of_a_killed_process.mkdir()
    assert events(LastFM, fetch="hetrec") == 3
    assert [entry.name for entry in (fetch.cache_folder() / "lastfm" / "hetrec").iterdir()] == ["unpacked"]


def test_a_name_that_is_no_set_and_a_missing_path_name_the_sets(tmp_path):
    with pytest.raises(
        ConfigError, match=r"data: fetch = '2k' is no data set of 'lastfm'\. Set fetch to hetrec, 1K, 360K"
    ):
        events(LastFM, fetch="2k")
    with pytest.raises(
        ConfigError, match=r"data: there is no path\. Set fetch to 2014 Books, .* and 78 more .* or path"
    ):
        events(AmazonReviews)
    with pytest.raises(ConfigError, match=r"data: both path = '.+' and fetch = 'hetrec' are set\. Remove one\."):
        events(LastFM, fetch="hetrec", path=str(tmp_path))


def test_the_cache_is_the_users_unless_said_otherwise(monkeypatch):
    monkeypatch.delenv("P5_CACHE", raising=False)
    assert fetch.cache_folder().name == "p5"


@pytest.mark.parametrize("loader", LOADERS)
def test_addresses_are_encrypted_and_checksums_whole(loader):
    files = {address: checksum for files in fetch.fetchable(loader).values() for address, checksum in files.items()}
    assert files
    for address, checksum in files.items():
        assert address.startswith("https://")
        assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", checksum), address


@pytest.mark.parametrize("name", ["../out.csv", "/out.csv", "a/../../out.csv"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE])
def test_an_archive_writes_plain_files_below_its_folder_alone(name: str, kind: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "set.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        member = tarfile.TarInfo(name if kind == tarfile.REGTYPE else "link.csv")
        member.type, member.linkname = kind, "" if kind == tarfile.REGTYPE else name
        members.addfile(member, io.BytesIO())
    with pytest.raises(DataError, match=r"which is no plain file below its folder"):
        fetch._unpack([archive], tmp_path / "cache" / "set")
    assert {path.name for path in tmp_path.rglob("*")} - {"cache"} == {"set.tar.gz"}
