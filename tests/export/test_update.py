"""New events and items for a finished run, down to the exported file."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from p5core.cli import build
from p5core.config.document import parse_experiment
from p5core.data.append import append
from p5core.data.dataset import Dataset, Events, Ragged
from p5core.data.storage import read_dataset
from p5core.errors import ConfigError, DataError, RunError
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.create import list_runs
from p5core.runs.run import Run
from p5core.workflows.evaluate_run import evaluate_run
from p5core.workflows.train import run
from p5core.workflows.update import update
from p5export.export import export_run
from p5export.graph.serving import ExportOptions
from p5export.runtime import OnnxRecommender


def shop(first: int, last: int, users: int, seed: int) -> pd.DataFrame:
    """Users who walk through the items in order, each from a place of their own."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(first, last - 5, users)
    rows = [
        (f"u{user}", f"i{start + step}", 1000 * seed + step) for user, start in enumerate(starts) for step in range(5)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "time"])


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Run:
    folder = tmp_path_factory.mktemp("shop")
    shop(0, 30, 80, 1).to_csv(folder / "events.csv", index=False)
    experiment = parse_experiment(
        {
            "data": {"name": "table", "path": str(folder / "events.csv")},
            "model": {
                "width": 8,
                "max_length": 6,
                "blend": [{"name": "cooccurrence", "content": "all", "n_neighbours": 5}],
            },
            "stages": [{"epochs": 2}],
            "evaluate": {"resamples": 0},
        }
    )
    return run(experiment, folder / "runs", "shop", registry)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fresh") / "more.csv"
    shop(20, 50, 90, 2).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def updated(sold: Run, fresh: Path, registry: Registry) -> Run:
    return update(sold, fresh, "shop-fresh", registry).run


def test_known_users_and_items_keep_their_codes_and_vectors(sold: Run, updated: Run, registry: Registry) -> None:
    old, new = (load_run_data(one, registry) for one in (sold, updated))
    n = old.target.dataset.n_items
    assert new.target.dataset.catalogue.index[:n].equals(old.target.dataset.catalogue.index)
    assert new.target.dataset.n_items > n
    before, after = (load_model(one, load_run_data(one, registry), registry) for one in (sold, updated))
    known, grown = (one.network.items.vectors() for one in (before, after))
    assert torch.equal(grown[:n], known)
    torch.testing.assert_close(grown[n], known.mean(dim=0))
    assert after.blend is not None
    assert before.blend is not None
    assert after.blend.weights == before.blend.weights


def test_the_blend_and_popularity_count_all_events(updated: Run, registry: Registry) -> None:
    data = load_run_data(updated, registry)
    events, catalogue = data.target.dataset.events, data.target.dataset.catalogue
    model = load_model(updated, data, registry)
    assert torch.equal(model.network.items.counts.cpu(), torch.from_numpy(np.bincount(events.items)).float())
    assert model.blend is not None
    neighbours = model.blend.scorers[0].export()
    assert neighbours is not None
    code = int(catalogue.encode(["i45"])[0])
    found = neighbours.neighbours[code][neighbours.weights[code] > 0]
    assert "i46" in catalogue.decode(found)


def test_an_updated_run_is_not_measured_on_what_it_has_seen(updated: Run, registry: Registry) -> None:
    assert "Evaluated as 'shop', before events or items were added" in updated.metrics().protocol
    with pytest.raises(RunError, match="grew out of 'shop' and has read all events"):
        evaluate_run(updated, registry, {})


def test_the_command_writes_and_exports_what_knows_the_new_items(sold: Run, fresh: Path, registry: Registry) -> None:
    export_run(sold, sold.path / "export", registry, ExportOptions(exclude_seen=False), lambda _: None)
    found = CliRunner().invoke(build(registry), ["update", str(sold.path), str(fresh), "--name", "more"])
    assert found.exit_code == 0, found.output
    assert "new items" in found.output
    folder = sold.path.parent / "more" / "export"
    model = OnnxRecommender(folder)
    assert "Updated without training" in (folder / "README.md").read_text(encoding="utf-8")
    assert '"exclude_seen": false' in (folder / "p5.json").read_text(encoding="utf-8")
    assert {"i41", "i42"} & {one.item for one in model.recommend(["i39", "i40"], k=8)}


def test_what_cannot_be_updated_is_refused_and_leaves_nothing(
    sold: Run, fresh: Path, registry: Registry, tmp_path: Path
) -> None:
    there = sorted(sold.path.parent.iterdir())
    with pytest.raises(ConfigError, match="reads no file"):
        update(sold, fresh, None, registry, ["name=synthetic"])
    (tmp_path / "rated.csv").write_text("user,item,time,rating\nu1,i1,3000,4\nu1,i2,3001,5\n")
    with pytest.raises(DataError, match="new events have a rating"):
        update(sold, tmp_path / "rated.csv", None, registry)
    assert sorted(sold.path.parent.iterdir()) == there


def test_an_export_of_some_items_alone_is_not_repeated_for_all(sold: Run, fresh: Path, registry: Registry) -> None:
    export_run(sold, sold.path / "export", registry, ExportOptions(allow=["i3", "i4"]), lambda _: None)
    found = CliRunner().invoke(build(registry), ["update", str(sold.path), str(fresh), "--name", "some"])
    assert found.exit_code == 1
    assert "recommends some items alone" in found.output
    assert not (sold.path.parent / "some").exists()


def test_models_of_users_need_training(tmp_path: Path, fresh: Path, registry: Registry) -> None:
    shop(0, 30, 40, 1).to_csv(tmp_path / "events.csv", index=False)
    experiment = parse_experiment(
        {
            "data": {"name": "table", "path": str(tmp_path / "events.csv")},
            "model": {"width": 8, "backbone": {"name": "mf"}},
            "stages": [{"epochs": 1}],
        }
    )
    with pytest.raises(ConfigError, match="need new training"):
        update(run(experiment, tmp_path / "runs", "mf", registry), fresh, None, registry)


@pytest.mark.parametrize(("keep", "expected"), [("first", [0, 1, 3]), ("last", [1, 0, 3]), ("all", [0, 1, 0, 3])])
def test_of_several_events_with_an_item_one_stays(sold: Run, keep: str, expected: list[int]) -> None:
    dataset = read_dataset(sold.data / "target")

    def of(items: list[int], times: list[int]) -> Dataset:
        offsets = np.r_[0, np.full(len(dataset.users), len(items))].astype(np.int64)
        events = Events(offsets, np.array(items, dtype=np.int32), np.array(times, dtype=np.int64))
        return Dataset(events, dataset.users, dataset.catalogue, dataset.user_frame, has_clock=True)

    joined = append(of([0, 1], [10, 20]), of([0, 3], [30, 40]), keep)  # type: ignore[arg-type]
    assert joined.events.items.tolist() == expected


def test_without_a_clock_new_events_follow_the_known_ones(sold: Run) -> None:
    dataset = read_dataset(sold.data / "target")
    offsets = np.r_[0, np.full(len(dataset.users), 2)].astype(np.int64)
    events = Events(offsets, np.array([4, 5], dtype=np.int32), np.array([0, 1], dtype=np.int64))
    ordered = Dataset(events, dataset.users, dataset.catalogue, dataset.user_frame, has_clock=False)
    later = Dataset(
        Events(offsets, np.array([6, 7], dtype=np.int32), events.times),
        dataset.users,
        dataset.catalogue,
        dataset.user_frame,
        has_clock=False,
    )
    assert append(ordered, later, "first").events.items.tolist() == [4, 5, 6, 7]
    with pytest.raises(DataError, match="The new events have times and the known ones have none"):
        append(ordered, replace(dataset, has_clock=True), "first")


def test_a_new_item_with_one_event_follows_what_it_is_like(tmp_path: Path, registry: Registry) -> None:
    shop(0, 30, 80, 1).to_csv(tmp_path / "events.csv", index=False)
    items = pd.DataFrame({"item": [f"i{n}" for n in range(30)], "kind": [f"kind {n // 3} of {n}" for n in range(30)]})
    items.to_csv(tmp_path / "items.csv", index=False)
    counts = {"name": "cooccurrence", "n_neighbours": 10, "content": ["kind"], "content_pairs": 40, "choose": False}
    experiment = parse_experiment(
        {
            "data": {"name": "table", "path": str(tmp_path / "events.csv"), "items": str(tmp_path / "items.csv")},
            "model": {"width": 8, "max_length": 6, "blend": [counts]},
            "stages": [{"epochs": 1}],
            "evaluate": {"resamples": 0},
        }
    )
    first = run(experiment, tmp_path / "runs", "first", registry)
    pd.DataFrame({"item": ["new"], "kind": ["kind 7 of 22"]}).to_csv(tmp_path / "new.csv", index=False)
    pd.DataFrame({"user": ["u1"], "item": ["new"], "time": [3000]}).to_csv(tmp_path / "more.csv", index=False)
    later = update(first, tmp_path / "more.csv", "later", registry, [f"items={tmp_path / 'new.csv'}"]).run
    data = load_run_data(later, registry)
    blend = load_model(later, data, registry).blend
    assert blend is not None
    new, like = (int(data.target.dataset.catalogue.encode([item])[0]) for item in ("new", "i22"))
    scores = blend.scorers[0].scores(np.array([0], dtype=np.int32), Ragged.of([[new]]))[0]
    assert int(scores.argmax()) == like


@pytest.mark.parametrize("victim", ["write_dataset", "write_tensors", "write_json"])
def test_an_update_that_is_killed_leaves_no_run(
    victim: str, sold: Run, fresh: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = os.fork()
    if not pid:
        monkeypatch.setattr(f"p5core.workflows.update.{victim}", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        update(sold, fresh, "killed", registry)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert not (sold.path.parent / "killed").exists()
    assert "killed" not in " ".join(str(one.path) for one in list_runs(sold.path.parent))
    assert update(sold, fresh, "killed", registry).run.state() == "done"
    shutil.rmtree(sold.path.parent / "killed")
