"""MovieLens in each of its layouts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.errors import DataError
from p5plugins.loaders import movielens
from p5plugins.loaders.movielens import MovieLens, MovieLensConfig

LAYOUTS = {
    "100k": {
        "u.data": "1\t2\t4\t1000000001\n2\t1\t3\t1000000000\n",
        "u.item": "1|Amélie (2001)|01-Jan-2001||http://x|0|0|0|0|0|1" + "|0" * 13 + "\n"
        "2|unknown||||1" + "|0" * 18 + "\n",
        "u.user": "1|24|M|technician|05711\n2|53|F|other|T8H1N\n",
    },
    "1m": {
        "ratings.dat": "1::2::4::1000000001\n2::1::3::1000000000\n",
        "movies.dat": "1::Amélie (2001)::Comedy|Romance\n2::Heat: 2, \"x\" (1995)::Action\n",
        "users.dat": "1::F::1::10::05711\n2::M::56::16::70072\n",
    },
    "latest": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,2,4.0,1000000001\n2,1,3.5,1000000000\n",
        "movies.csv": 'movieId,title,genres\n1,"Amélie, x (2001)",Comedy|Romance\n2,Heat,(no genres listed)\n',
    },
    "recbole": {
        "ml-1m.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "1\t2\t4\t1000000001\n2\t1\t3\t1000000000\n",
        "ml-1m.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tgenre:token_seq\n"
        "1\tAmélie\t2001\tComedy Romance\n2\tHeat\tV\tAction\n",
        "ml-1m.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\t10\t05711\n2\t53\tF\t7\t9\n",
    },
    "gsasrec": {
        "gsasrec/train/input.txt": "1 2 3\n3 1\n",
        "gsasrec/val/input.txt": "3 1 2\n",
        "gsasrec/val/output.txt": "4\n",
        "gsasrec/test/output.txt": "4\n5\n",
        "sas_to_original_items.txt": "1 10\n2 20\n3 30\n4 40\n5 50\n",
        "sas_to_original_users.txt": "1 100\n2 200\n",
        "ml1m_items.dat": "10\tAmélie (2001)\tComedy|Romance\n20\tHeat (1995)\tAction\n",
        "ml1m_users.dat": "100\tF\t1\t10\t05711\n200\tM\t56\t16\t70072\n",
    },
}  # fmt: skip


def lay_out(folder: Path, layout: str) -> Path:
    for name, text in LAYOUTS[layout].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_old = name in ("u.item", "u.user", "movies.dat", "users.dat")
        path.write_text(text, encoding="latin-1" if is_old else "utf-8")
    return folder


@pytest.mark.parametrize("layout", ["100k", "1m", "latest", "recbole"])
def test_each_layout_is_recognised_and_read(tmp_path, rows, layout):
    raw = MovieLens(MovieLensConfig(path=lay_out(tmp_path, layout), domain="films")).load()
    frame = rows(raw)
    assert frame["user"].tolist() == [1, 2]
    assert frame["item"].tolist() == [2, 1]
    assert frame["rating"].astype(float).tolist() == [4.0, 3.0 + 0.5 * (layout == "latest")]
    assert frame["timestamp"].astype(int).tolist() == [1000000001, 1000000000]
    assert frame["domain"].tolist() == ["films", "films"]
    assert raw.notes[0] == f"guessed variant '{layout}'"
    assert raw.time_unit == "s"
    assert raw.items is not None
    assert raw.items["item"].tolist() == [1, 2]
    assert raw.items["title"][0].startswith("Amélie")
    assert "(" not in raw.items["title"][0]
    assert raw.items["year"].tolist()[0] == 2001
    genres = {"100k": ["Comedy", "unknown"], "latest": ["Comedy|Romance", None]}
    found = raw.items["genres"].where(raw.items["genres"].notna(), None).tolist()
    assert found[0] == genres.get(layout, ["Comedy|Romance", "Action"])[0]
    assert (found[1] != found[1] or found[1] is None) if layout == "latest" else found[1] in ("Action", "unknown")


@pytest.mark.parametrize("layout", ["100k", "1m", "recbole"])
def test_users_come_with_what_is_known_of_them(tmp_path, layout):
    users = MovieLens(MovieLensConfig(path=lay_out(tmp_path, layout))).load().users
    assert users is not None
    assert set(users.columns) == {"user", "age", "gender", "occupation", "zip"}
    assert users["user"].tolist() == [1, 2]
    assert users["zip"].tolist()[0] == "05711"
    assert users["age"].dtype == "int64"


def test_titles_keep_their_punctuation(tmp_path):
    items = MovieLens(MovieLensConfig(path=lay_out(tmp_path, "1m"))).load().items
    assert items is not None
    assert items["title"][1] == 'Heat: 2, "x"'


def test_gsasrec_histories_are_put_together_under_original_ids(tmp_path, rows):
    raw = MovieLens(MovieLensConfig(path=lay_out(tmp_path, "gsasrec"), domain="films")).load()
    frame = rows(raw)
    assert frame.groupby("user")["item"].apply(list).to_dict() == {100: [10, 20, 30, 40], 200: [30, 10, 20, 40, 50]}
    assert frame["timestamp"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert set(frame["domain"]) == {"films"}
    assert raw.time_unit == "step"
    assert "the last but one item of 1 users is missing in this copy" in raw.notes[1]


def test_gsasrec_histories_end_before_a_gap_if_asked(tmp_path, rows):
    folder = lay_out(tmp_path, "gsasrec")
    raw = MovieLens(MovieLensConfig(path=folder, variant="gsasrec-gapless")).load()
    histories = rows(raw).groupby("user")["item"].apply(list).to_dict()
    assert histories == {100: [10, 20, 30], 200: [30, 10, 20, 40, 50]}
    assert raw.notes == ("1 users lack their last but one item in this copy; their histories end before it",)


def test_gsasrec_files_must_fit_together(tmp_path):
    folder = lay_out(tmp_path, "gsasrec")
    (folder / "gsasrec/test/output.txt").write_text("4\n")
    with pytest.raises(DataError, match=r"output\.txt has 1 lines where 2 are expected"):
        MovieLens(MovieLensConfig(path=folder)).load()
    (folder / "gsasrec/test/output.txt").write_text("4\nx\n")
    with pytest.raises(DataError, match=r"output\.txt, line 2: numbers with spaces between are expected"):
        MovieLens(MovieLensConfig(path=folder)).load()


def test_folders_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"There is no folder .*none\. Check the path, or leave it out to fetch"):
        MovieLens(MovieLensConfig(path=tmp_path / "none")).load()
    with pytest.raises(DataError, match=r"is no MovieLens folder: it has none of u\.data, users\.dat"):
        MovieLens(MovieLensConfig(path=tmp_path)).load()


def test_a_missing_file_is_named(tmp_path):
    folder = lay_out(tmp_path, "1m")
    (folder / "movies.dat").unlink()
    with pytest.raises(DataError, match=r"There is no file .*movies\.dat"):
        MovieLens(MovieLensConfig(path=folder)).load()
    with pytest.raises(DataError, match=r"There is no file .*u\.item"):
        MovieLens(MovieLensConfig(path=folder, variant="100k")).load()


def test_without_a_path_the_set_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(movielens, "fetch_movielens_100k", lambda: lay_out(tmp_path, "recbole"))
    raw = MovieLens(MovieLensConfig()).load()
    assert raw.source == "MovieLens-100K"
    assert raw.notes == ()


@pytest.mark.skipif("P5_DATA" not in os.environ, reason="P5_DATA does not name the folder of real data")
@pytest.mark.parametrize(
    ("name", "n_users", "n_items", "n_events"),
    [("ml-100k", 943, 1_682, 100_000), ("ml-latest-small", 671, 9_066, 100_004), ("ml-1m", 6_040, 3_416, 994_083)],
)
def test_real_sets_have_their_published_sizes(name, n_users, n_items, n_events):
    raw = MovieLens(MovieLensConfig(path=Path(os.environ["P5_DATA"], name))).load()
    dataset, _ = prepare(raw, PrepareConfig(min_user_events=1, keep="all"))
    assert (len(dataset.users), len(dataset.catalogue), len(dataset.events.items)) == (n_users, n_items, n_events)
    assert dataset.catalogue.frame["title"].notna().all()
