"""Every kind of model becomes a file that answers as its network does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from support import set_blend_weights

import p5core
from p5core.config.experiment import Experiment
from p5core.errors import ExportError
from p5core.plugins.registry import Registry
from p5core.system.files import read_json, write_json
from p5export.export import export_run
from p5export.graph.serving import ExportOptions

Experiments = Callable[..., Experiment]

ID = [{"name": "id"}]
ALL = [*ID, {"name": "categories", "columns": ["genre"]}, {"name": "numbers", "columns": ["price"]}]


def silent(text: str) -> None:
    assert text


BACKBONES = ["bag", "bert", "filter", "gpt", "gru", "lstm", "mf", "mlp"]


def test_all_built_in_backbones_are_exported(registry: Registry) -> None:
    assert sorted(registry.parts("backbone")) == BACKBONES


@pytest.mark.parametrize(
    ("backbone", "as_text"),
    [
        ("bert", True),
        ("filter", True),
        ("gpt", False),
        ("gru", True),
        ("lstm", False),
        ("mf", True),
        ("mf", False),
        ("mlp", False),
    ],
)
def test_every_backbone_answers_as_its_network(
    backbone: str, as_text: bool, experiment_of: Experiments, registry: Registry, tmp_path: Path
) -> None:
    run = p5core.run(experiment_of(backbone, ALL, as_text=as_text), tmp_path, "one", registry)
    made = export_run(run, tmp_path / "export", registry, ExportOptions(metadata=["title"]), silent)
    assert made.manifest["parity"]["cases"] == 64
    assert made.manifest["parity"]["exported"] == pytest.approx(made.manifest["parity"]["network"], abs=5e-5)
    assert made.manifest["id_kind"] == ("string" if as_text else "int64")
    assert set(made.manifest["inputs"]) == ({"user", "k"} if backbone == "mf" else {"history", "k"})


@pytest.mark.parametrize(
    ("encoders", "combine"),
    [
        (ID, "sum"),
        ([{"name": "categories", "columns": ["genre"]}], "sum"),
        ([{"name": "numbers", "columns": ["price"]}], "sum"),
        (ALL, "gated"),
    ],
    ids=["id", "categories", "numbers", "gated"],
)
def test_every_combination_of_encoders_is_baked_in(
    encoders: list[dict[str, Any]], combine: str, experiment_of: Experiments, registry: Registry, tmp_path: Path
) -> None:
    run = p5core.run(experiment_of("mlp", encoders, combine=combine), tmp_path, "one", registry)
    assert export_run(run, tmp_path / "export", registry, say=silent).manifest["parity"]["largest_difference"] < 1e-4


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_recurrent_networks_with_attention_keep_a_dynamic_length(
    name: str, experiment_of: Experiments, registry: Registry, tmp_path: Path
) -> None:
    backbone = {"name": name, "attention": True, "n_layers": 2}
    run = p5core.run(experiment_of(backbone, ID), tmp_path, "one", registry)
    for _ in range(3):  # also when the process has traced such a layer before
        assert export_run(run, tmp_path / "export", registry, say=silent).manifest["parity"]["cases"] == 64


@pytest.mark.parametrize("backbone", ["bert", "mf"])
def test_ratings_come_out_in_rating_units(
    ids: list[str], backbone: str, experiment_of: Experiments, registry: Registry, tmp_path: Path
) -> None:
    run = p5core.run(experiment_of(backbone, ALL, "rating"), tmp_path, "one", registry)
    made = export_run(run, tmp_path / "export", registry, say=silent)
    session = onnxruntime.InferenceSession(str(tmp_path / "export" / "score.onnx"))
    who = {"user": ["user 1"]} if backbone == "mf" else {"history": [ids[:2]]}
    who = {name: np.array(value, dtype=object) for name, value in who.items()}
    candidates = np.array([[*ids[3:6], "unheard of"]], dtype=object)
    ratings = session.run(["ratings"], {**who, "candidates": candidates})[0]
    assert ratings.shape == (1, 4)
    assert (abs(ratings - 3) < 2).all()
    assert set(made.manifest["parity"]["exported"]) == {"mae", "rmse"}


@pytest.mark.parametrize(
    ("device", "users", "is_refused"), [("cpu", 0.5, True), ("cuda", 0.5, False), ("cuda", 3, True)]
)
def test_figures_of_another_device_may_differ_by_a_tie(
    device: str, users: float, is_refused: bool, experiment_of: Experiments, registry: Registry, tmp_path: Path
) -> None:
    run = p5core.run(experiment_of("gpt", ALL), tmp_path, "one", registry)
    stored = read_json(run.path / "metrics.json")
    label = min(stored["test"]["model"])
    stored["test"]["model"][label] += users / stored["n_test_users"]
    write_json(run.path / "metrics.json", {**stored, "device": device})
    run.seal()
    with pytest.raises(ExportError, match=f"The run's {label}") if is_refused else nullcontext():
        export_run(run, tmp_path / "export", registry, say=silent)


@pytest.mark.parametrize(("backbone", "n_neighbours"), [("bert", 5), ("gru", 30)])
def test_the_blend_is_in_the_file(
    backbone: str, n_neighbours: int, ids: list[str], experiment_of: Experiments, registry: Registry, tmp_path: Path
) -> None:
    blend = [{"name": "cooccurrence", "n_neighbours": n_neighbours, "n_recent": 3}]
    run = p5core.run(experiment_of(backbone, ALL, blend=blend), tmp_path, "one", registry)
    set_blend_weights(run, 1.0, 1.3)
    with pytest.raises(ExportError, match="The run's"):  # its stored figures are those of other weights
        export_run(run, tmp_path / "export", registry, say=silent)
    allowed = ExportOptions(allow=ids[:5], max_length=4)
    made = export_run(run, tmp_path / "export", registry, allowed, silent)
    assert made.manifest["parity"]["largest_difference"] < 1e-4
    assert made.manifest["model"]["blend"] == {
        "network": 1.0,
        "scorers": [{"name": "cooccurrence", "weight": 1.3}],
    }
    assert "1 log p of the network + 1.3 log p of cooccurrence" in (made.folder / "README.md").read_text()


@pytest.mark.parametrize("scorer", [{"name": "ease", "l2": 3, "choose": False}, {"name": "item_knn", "choose": False}])
def test_a_blend_with_any_item_item_model_is_in_the_file(
    scorer: dict[str, Any], experiment_of: Experiments, registry: Registry, tmp_path: Path
) -> None:
    """EASE has weights of both signs."""
    run = p5core.run(experiment_of("gru", ALL, blend=[scorer]), tmp_path, "one", registry)
    set_blend_weights(run, 0.7, 1.0)
    made = export_run(run, tmp_path / "export", registry, ExportOptions(max_length=4), silent)
    assert made.manifest["parity"]["largest_difference"] < 1e-4
