"""Scorers blended with the network of a run: fitted to its own data, weighted as its validation events say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import p5core
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.errors import ConfigError
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.model.blend import Blend, read_blend
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.training import blending
from p5core.training.blending import WEIGHTS
from p5core.workflows.evaluate_run import evaluate_run
from p5core.workflows.recommend import Recommender
from p5plugins.scorers.cooccurrence import CONTENT_PAIRS, CoOccurrence

DATA = {"name": "synthetic", "n_users": 60, "n_items": 40, "n_events": 900, "n_clusters": 8, "seed": 0}


def blended(
    *scorers: dict[str, Any], backbone: str = "gpt", source: str = "", validation_users: int = 0, **data: int
) -> Experiment:
    return parse_experiment(
        {
            "data": {**DATA, **data},
            "model": {
                "width": 8,
                "max_length": 12,
                "backbone": {"name": backbone},
                "blend": list(scorers) or [{"name": "cooccurrence", "content": "all", "n_neighbours": 20}],
            },
            "stages": [{"epochs": 1, "from": source}],
            "evaluate": {"resamples": 10, "validation_users": validation_users},
        }
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def sentences(run: p5core.Run, word: str) -> list[str]:
    return [line for line in (run.path / "log.txt").read_text().splitlines() if word in line]


def stored(run: p5core.Run, registry: Registry) -> Blend:
    blend = read_blend(run.path, registry)
    assert blend is not None
    return blend


def figures(sentence: str) -> list[float]:
    return [float(one) for one in re.findall(r"cooccurrence (0\.\d+)", sentence)]


def test_scorers_are_blended_as_validation_events_say(registry: Registry, tmp_path: Path) -> None:
    run = p5core.run(blended(), tmp_path, "blended", registry)
    tried = sentences(run, "cooccurrence with ")
    reached = [float(one) for line in tried for one in re.findall(r"ndcg@10 (0\.\d+)", line)]
    (last,) = sentences(run, "on validation events: 1 network")
    found, blend = figures(last), stored(run, registry)
    (scorer,) = blend.scorers
    assert isinstance(scorer, CoOccurrence)
    assert len(reached) == len(CONTENT_PAIRS)
    assert len(found) == len(WEIGHTS)
    assert scorer.config.content_pairs == CONTENT_PAIRS[int(np.argmax(reached))]
    assert blend.weights == WEIGHTS[int(np.argmax(found))]
    assert max(found) == max(reached)
    assert run.metrics().validation["model"]["ndcg@10"] == pytest.approx(max(found), abs=5e-5)
    (variants,) = sentences(run, "variants on validation events")
    assert len(re.findall(r"0\.\d{4}", variants)) == 3
    recommender = Recommender.load(run, registry)
    assert recommender.recommend([1, 2], k=3, n_reasons=1)
    evaluation, _ = evaluate_run(run, registry, {})
    assert evaluation.results["test"]["model"]["ndcg@10"].value == pytest.approx(run.metrics().test["model"]["ndcg@10"])


def test_few_users_choose_the_options_and_all_the_weight(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blending, "FIRST_USERS", 7)
    run = p5core.run(blended(validation_users=5), tmp_path, "blended", registry)
    (last,) = sentences(run, "on validation events: 1 network")
    best = max(figures(last))
    assert run.metrics().validation["model"]["ndcg@10"] == pytest.approx(best, abs=5e-5)
    assert not any(f"{best:.4f}" in line for line in sentences(run, "cooccurrence with "))


def test_several_scorers_are_blended_one_after_the_other(registry: Registry, tmp_path: Path) -> None:
    both = blended({"name": "cooccurrence"}, {"name": "popularity"})
    run = p5core.run(both, tmp_path, "both", registry)
    blend = stored(run, registry)
    assert [one.name for one in blend.scorers] == ["cooccurrence", "popularity"]
    assert len(blend.weights) == 3
    alone = p5core.run(blended({"name": "cooccurrence"}), tmp_path, "alone", registry)
    validation = [one.metrics().validation["model"]["ndcg@10"] for one in (run, alone)]
    assert validation[0] >= validation[1]


def test_a_blend_belongs_to_its_own_data(registry: Registry, tmp_path: Path) -> None:
    first = p5core.run(blended(), tmp_path, "first", registry)
    second = p5core.run(blended(source=str(first.path), seed=3, n_items=50), tmp_path, "second", registry)
    sizes = [
        len(run_blend.scorers[0].export().neighbours)
        for run_blend in (stored(first, registry), stored(second, registry))
    ]
    assert sizes[1] > sizes[0]
    with pytest.raises(ConfigError, match=r"model\.blend reads histories"):
        p5core.run(blended(backbone="mf"), tmp_path, "mf", registry)


def test_options_are_kept_as_they_are_when_asked(registry: Registry, tmp_path: Path) -> None:
    options = {"n_neighbours": 20, "window": 4, "recency": 0.9, "choose": False}
    run = p5core.run(blended({"name": "cooccurrence", **options}), tmp_path, "fixed", registry)
    assert sentences(run, "variants") == []
    data = load_run_data(run, registry)
    blend = load_model(run, data, registry).blend
    assert blend is not None
    config = blend.scorers[0].config.model_dump()
    assert {name: config[name] for name in options} == options


def test_content_must_be_there(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'category'"):
        p5core.run(blended({"name": "cooccurrence", "content": ["categry"]}), tmp_path, "wrong", registry)
    assert not (tmp_path / "wrong").exists()


def test_the_former_spelling_is_read_with_a_note(registry: Registry, tmp_path: Path) -> None:
    experiment = blended()
    former = parse_experiment(
        {
            "data": DATA,
            "model": {"width": 8, "max_length": 12, "backbone": {"name": "gpt"}, "memory": {"n_neighbours": 20}},
            "stages": [{"epochs": 1}],
            "evaluate": {"resamples": 10, "baselines": ["popularity", "neighbours"]},
            "export": {"file": "x.onnx"},
        }
    )
    assert former.model == experiment.model
    assert former.evaluate.baselines == ["popularity", "cooccurrence"]
    assert len(former.notes) == 3
    run = p5core.run(former, tmp_path, "former", registry)
    assert sentences(run, "model.memory = { … } is written model.blend")
