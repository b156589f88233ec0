"""An item memory in a run: filled from its own data, mixed as its validation events say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import p5core
from p5core.config.experiment import Experiment, parse_experiment
from p5core.errors import ConfigError
from p5core.model.cooccurrence import MIXTURES
from p5core.model.options import CONTENT_PAIRS, HOW_COUNTED, NeighboursConfig, countings
from p5core.plugins.registry import Registry, load_plugins
from p5core.training import blending as mixing
from p5core.workflows import train as pipeline
from p5core.workflows.recommend import Recommender

DATA = {"name": "synthetic", "n_users": 60, "n_items": 40, "n_events": 900, "n_clusters": 8, "seed": 0}


def with_memory(backbone: str = "gpt", source: str = "", **data: int) -> Experiment:
    return parse_experiment(
        {
            "data": {**DATA, **data},
            "model": {"width": 8, "max_length": 12, "backbone": {"name": backbone}, "memory": {"n_neighbours": 20}},
            "stages": [{"epochs": 1, "from": source}],
            "evaluate": {"resamples": 10},
        }
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def test_the_memory_is_mixed_in_as_validation_events_say(registry: Registry, tmp_path: Path) -> None:
    run = p5core.run(with_memory(), tmp_path, "memory", registry)
    *tried, last = [line for line in (run.path / "log.txt").read_text().splitlines() if "content as" in line]
    reached = [float(one) for line in tried for one in re.findall(r"ndcg@10 (0\.\d+)", line)]
    figures = [float(one) for one in re.findall(r"memory (0\.\d+)", last)]
    assert len(reached) == len(CONTENT_PAIRS)
    assert len(figures) == len(MIXTURES)
    stored = load_file(run.weights)
    pairs, mixture = stored["memory.counted_by"].tolist()[-1], stored["memory.mixture"].tolist()
    assert pairs == CONTENT_PAIRS[int(np.argmax(reached))]
    assert mixture == pytest.approx(MIXTURES[int(np.argmax(figures))])
    assert max(figures) == max(reached)
    assert f"content as {pairs:g} pairs" in last.partition("taken")[2]
    assert run.metrics()["validation"]["model"]["ndcg@10"] == pytest.approx(max(figures), abs=5e-5)
    ways = countings(run.experiment().model.memory or NeighboursConfig())
    counted = next(line for line in (run.path / "log.txt").read_text().splitlines() if "ways of counting" in line)
    alone = [float(one) for one in re.findall(r"0\.\d{4}", counted)]
    assert len(alone) == len(ways) == 3
    best = ways[int(np.argmax(alone))]
    assert stored["memory.counted_by"].tolist()[:-1] == [getattr(best, name) for name in HOW_COUNTED]
    recommender = Recommender.load(run, registry)
    assert recommender.recommend([1, 2], k=3, n_reasons=1)
    assert pipeline.evaluate_run(run, registry, {}).figures["test"]["model"]["ndcg@10"].value == pytest.approx(
        run.metrics()["test"]["model"]["ndcg@10"]
    )


def test_few_users_say_how_it_counts_and_all_how_much_it_has_to_say(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing, "FIRST_USERS", 7)
    experiment = with_memory()
    few = experiment.evaluate.model_copy(update={"validation_users": 5})
    run = p5core.run(experiment.model_copy(update={"evaluate": few}), tmp_path, "memory", registry)
    *tried, last = [line for line in (run.path / "log.txt").read_text().splitlines() if "content as" in line]
    figures = [float(one) for one in re.findall(r"memory (0\.\d+)", last)]
    assert run.metrics()["validation"]["model"]["ndcg@10"] == pytest.approx(max(figures), abs=5e-5)
    assert not any(f"{max(figures):.4f}" in line for line in tried)


def test_a_memory_belongs_to_its_own_data(registry: Registry, tmp_path: Path) -> None:
    first = p5core.run(with_memory(), tmp_path, "first", registry)
    second = p5core.run(with_memory(source=str(first.path), seed=3, n_items=50), tmp_path, "second", registry)
    tables = [load_file(run.weights)["memory.similarity"] for run in (first, second)]
    assert len(tables[1]) > len(tables[0])
    assert not torch.equal(tables[0], tables[1][: len(tables[0])])
    with pytest.raises(ConfigError, match=r"model\.memory reads histories"):
        p5core.run(with_memory("mf"), tmp_path, "mf", registry)


def test_one_way_of_counting_is_kept_when_it_was_asked_for(registry: Registry, tmp_path: Path) -> None:
    plain = with_memory()
    counting = NeighboursConfig(n_neighbours=20, window=4, recency=0.9, choose=False)
    fixed = plain.model_copy(update={"model": plain.model.model_copy(update={"memory": counting})})
    run = p5core.run(fixed, tmp_path, "fixed", registry)
    assert load_file(run.weights)["memory.counted_by"].tolist() == [4, 0.4, 0.3, 0.15, 0.3, 0.9, 40]
    assert "ways of counting" not in (run.path / "log.txt").read_text()
    network = pipeline.load_network(run, pipeline.load_run_data(run, registry), registry)
    assert network.memory is not None
    assert network.memory.counting == counting


def test_content_may_be_left_out_or_must_be_there(registry: Registry, tmp_path: Path) -> None:
    plain = with_memory()
    without = NeighboursConfig(n_neighbours=20, content=[])
    run = p5core.run(
        plain.model_copy(update={"model": plain.model.model_copy(update={"memory": without})}),
        tmp_path,
        "without",
        registry,
    )
    assert "content as" not in (run.path / "log.txt").read_text()
    wrong = NeighboursConfig(content=["categry"])
    with pytest.raises(ConfigError, match="Did you mean 'category'"):
        p5core.run(
            plain.model_copy(update={"model": plain.model.model_copy(update={"memory": wrong})}), tmp_path, "wrong"
        )
    assert not (tmp_path / "wrong").exists()
