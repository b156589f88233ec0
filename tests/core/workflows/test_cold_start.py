"""Items that nobody had yet are placed by their texts: in training, at the end of it, and in an update."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import p5core
from p5core.cli import build
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.data.dataset import Ragged
from p5core.errors import ConfigError, DataError
from p5core.fitting.trained_model import TrainedModel, load_model, load_run_data
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.run import Run
from p5core.workflows.update import update
from p5export.runtime import OnnxRecommender

TOPICS = {"x": "lamp of glass", "y": "chair of steel"}
ITEMS = [f"{topic}{item}" for topic in TOPICS for item in range(12)]
USER = np.array([0], dtype=np.int32)


def title(item: str) -> str:
    return f"{TOPICS[item[0]]} number{item[1:]}"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of users who keep to one topic, and the titles of the items."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    rows = [
        (user, f"{'xy'[user % 2]}{item}", step)
        for user in range(80)
        for step, item in enumerate(rng.permutation(12)[:7])
    ]
    pd.DataFrame(rows, columns=["user", "item", "timestamp"]).to_csv(folder / "log.csv", index=False)
    items = pd.DataFrame({"item": ITEMS, "title": [title(item) for item in ITEMS]})
    items.to_csv(folder / "items.csv", index=False)
    return folder


def experiment(tables: Path, **changes: Any) -> Experiment:
    return parse_experiment(
        {
            "data": {"name": "table", "path": str(tables / "log.csv"), "items": str(tables / "items.csv")},
            "split": {"name": "item_cold", "share": 0.25},
            "model": {
                "width": 16,
                "unit_items": True,
                "encoders": [{"name": "id"}, {"name": "text", "columns": ["title"], "dimension": 16}],
                "backbone": {"name": "filter", "n_layers": 1},
            },
            "stages": [{"epochs": 12, "optimiser": {"learning_rate": 0.01}}],
            "evaluate": {"resamples": 0, "metrics": ["ndcg@10"], "baselines": ["popularity"]},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def run(tables: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Run:
    return p5core.run(experiment(tables), tmp_path_factory.mktemp("runs"), "cold", registry)


def loaded(run: Run, registry: Registry) -> tuple[TrainedModel, Any]:
    data = load_run_data(run, registry)
    return load_model(run, data, registry), data.target


def test_cold_items_stand_with_the_items_of_their_topic(run: Run, registry: Registry) -> None:
    model, target = loaded(run, registry)
    names = target.dataset.catalogue.frame["item"].tolist()
    counts = np.bincount(target.split.train.items, minlength=len(names))
    assert (counts == 0).sum() == 6
    for topic in TOPICS:
        warm = [code for code in np.flatnonzero(counts) if names[code][0] == topic]
        scores = model.scorer().scores(USER, Ragged.of([warm[:4]]))[0].detach().numpy()
        cold = np.flatnonzero(counts == 0)
        own = np.array([names[code][0] == topic for code in cold])
        assert scores[cold[own]].min() > scores[cold[~own]].max()
        other = [code for code in np.flatnonzero(counts) if names[code][0] != topic]
        assert scores[cold[own]].mean() > scores[other].mean()


def test_their_own_vectors_are_the_mean_of_the_trained_ones(run: Run, registry: Registry) -> None:
    model, target = loaded(run, registry)
    counts = np.bincount(target.split.train.items, minlength=len(ITEMS))
    rows = model.network.state_dict()["items.encoders.0.embedding.weight"].cpu().numpy()
    mean = rows[counts > 0].mean(axis=0)
    assert rows[counts == 0] == pytest.approx(np.tile(mean, (6, 1)), abs=1e-6)


def test_an_item_of_ids_alone_stays_a_negative(tables: Path, tmp_path: Path, registry: Registry) -> None:
    model = {"width": 16, "encoders": [{"name": "id"}], "backbone": {"name": "filter", "n_layers": 1}}
    ids = p5core.run(experiment(tables, model=model), tmp_path, "ids", registry)
    network, target = loaded(ids, registry)
    counts = np.bincount(target.split.train.items, minlength=len(ITEMS))
    warm = np.flatnonzero(counts)[:4].tolist()
    scores = network.scorer().scores(USER, Ragged.of([warm]))[0].detach().numpy()
    assert scores[counts == 0].mean() < scores[counts > 0].mean()


def test_an_update_keeps_the_vectors_of_known_items_and_places_new_ones_by_their_titles(
    run: Run, tables: Path, tmp_path: Path, registry: Registry
) -> None:
    rows = [(999, item, 100 + step) for step, item in enumerate(["x0", "x1", "x98", "y98"])]
    pd.DataFrame(rows, columns=["user", "item", "timestamp"]).to_csv(tmp_path / "new.csv", index=False)
    titles = pd.DataFrame({"item": [*ITEMS, "x98", "y98"]})
    titles["title"] = [f"{title(item)} entirely different" if "98" in item else title(item) for item in titles["item"]]
    titles.to_csv(tmp_path / "items.csv", index=False)
    grown = update(run, tmp_path / "new.csv", "grown", registry, [f"items={tmp_path / 'items.csv'}"])
    before, after = (loaded(which, registry)[0].network.items.vectors().detach().cpu() for which in (run, grown.run))
    assert len(after) == len(before) + 2
    assert after[: len(before)].numpy() == pytest.approx(before.numpy(), abs=1e-5)
    model, target = loaded(grown.run, registry)
    codes = {name: code for code, name in enumerate(target.dataset.catalogue.frame["item"])}
    scores = model.scorer().scores(USER, Ragged.of([[codes["x2"], codes["x3"], codes["x4"]]]))[0]
    assert scores[codes["x98"]] > scores[codes["y98"]]


@pytest.fixture
def arrivals(tmp_path: Path) -> Path:
    """A table of items of which two are new."""
    names = ["x1", "x97", "y97"]
    frame = pd.DataFrame({"item": names, "title": [title(name) for name in names], "price": [1.0, 2.0, 3.0]})
    frame.to_csv(tmp_path / "arrivals.csv", index=False)
    return tmp_path / "arrivals.csv"


def test_new_items_are_recommended_by_their_titles_without_any_event(
    run: Run, arrivals: Path, registry: Registry
) -> None:
    made = p5core.extend(run, arrivals, "extended", registry)
    assert (made.n_items, made.n_events, made.n_users) == (2, 0, 0)
    before, after = (loaded(which, registry)[0].network.items.vectors().detach().cpu() for which in (run, made.run))
    assert after[: len(before)].numpy() == pytest.approx(before.numpy(), abs=1e-5)
    for topic, other in ("xy", "yx"):
        history = [f"{topic}2", f"{topic}3", f"{topic}4"]
        answer = [one.item for one in p5core.Recommender.load(made.run, registry).recommend(history, k=23)]
        assert answer.index(f"{topic}97") < answer.index(f"{other}97")
        assert answer.index(f"{topic}97") < 12


def test_the_exported_model_knows_new_items_too(run: Run, arrivals: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(run.path, folder / "shop")
    told = CliRunner().invoke(build(load_plugins()), ["extend", str(folder / "shop"), str(arrivals), "--name", "new"])
    assert told.exit_code == 0, told.output
    assert "2 new items" in told.output
    assert "1 items were known, and stay as they are" in told.output
    answer = OnnxRecommender(folder / "new" / "export").recommend(["x2", "x3", "x4"], k=23)
    assert {"x97", "y97"} <= {found.item for found in answer}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,title\nx1,lamp of glass number1\n", "has no item that the run does not know already (1 known ones)"),
        ("item,colour\nx97,red\n", "has none of the columns by which the run knows its items: title"),
        ("name,colour\nx97,red\n", "item"),
        ("item,title,domain\nx97,lamp,elsewhere\n", "the run has no domain 'elsewhere'. Known: default"),
        ("item,title\n", "has no row with an id"),
        ("item,title\nx97,\nx98,  \n", "says nothing of its new items: title are empty"),
    ],
)
def test_a_table_without_new_items_is_refused_and_nothing_is_left(
    run: Run, tmp_path: Path, registry: Registry, content: str, message: str
) -> None:
    (tmp_path / "items.csv").write_text(content, encoding="utf-8")
    before = sorted(run.path.parent.iterdir())
    with pytest.raises(DataError, match=re.escape(message)):
        p5core.extend(run, tmp_path / "items.csv", "refused", registry)
    assert sorted(run.path.parent.iterdir()) == before


@pytest.mark.parametrize(("scorer", "is_extended"), [("content", True), ("item_knn", False)])
def test_a_scorer_alone_is_extended_if_it_reads_content(
    tables: Path, arrivals: Path, tmp_path: Path, registry: Registry, scorer: str, is_extended: bool
) -> None:
    base = experiment(tables).model_dump(exclude={"model", "stages"}, by_alias=True)
    alone = p5core.run(parse_experiment({**base, "model": {"scorer": scorer}}), tmp_path, scorer, registry)
    if not is_extended:
        with pytest.raises(ConfigError, match="tells items apart by their events alone"):
            p5core.extend(alone, arrivals, "more", registry)
        return
    made = p5core.extend(alone, arrivals, "more", registry)
    answer = p5core.Recommender.load(made.run, registry).recommend(["x2", "x3", "x4"], k=23)
    places = [one.item for one in answer]
    assert places.index("x97") < places.index("y97")


def test_a_run_of_ids_alone_is_not_extended(tables: Path, arrivals: Path, tmp_path: Path, registry: Registry) -> None:
    model = {"width": 8, "encoders": [{"name": "id"}], "backbone": {"name": "filter", "n_layers": 1}}
    ids = p5core.run(experiment(tables, model=model, stages=[{"epochs": 1}]), tmp_path, "ids", registry)
    with pytest.raises(ConfigError, match="tells items apart by their events alone"):
        p5core.extend(ids, arrivals, "more", registry)
