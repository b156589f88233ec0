"""A small catalogue with odd ids, a run on it, and its export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pandas as pd
import pytest

import p5core
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5export import export
from p5export.export import Exported, export_run
from p5export.graph.serving import ExportOptions, serving_of
from p5export.graph.states import export_states

IDS = ["é 1", "日本", "007", "7", "with space", "lead", "quote'\"", "tab\there", "😀", "a|b", "-1", "NUL"]
MAX_LENGTH = 6


def events(as_text: bool) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [(user, int(item)) for user in range(40) for item in rng.choice(12, 8, replace=False)]
    frame = pd.DataFrame(rows, columns=["user", "item"])
    frame["rating"] = rng.integers(1, 6, len(frame)).astype(float)
    if as_text:
        frame["item"] = [IDS[item] for item in frame["item"]]
        frame["user"] = [f"user {user}" for user in frame["user"]]
    else:
        frame["item"] = frame["item"] * 2**58 - 3  # beyond what a double holds
    return frame


def items(as_text: bool) -> pd.DataFrame:
    ids = IDS if as_text else [place * 2**58 - 3 for place in range(12)]
    return pd.DataFrame(
        {
            "item": ids,
            "title": [f"Title {place}" for place in range(12)],
            "genre": ["a|b", "b", None] * 4,
            "price": [1.5, None, 3.0] * 4,
        }
    )


def experiment(
    backbone: str | dict[str, Any],
    encoders: list[dict[str, Any]],
    task: str = "next_item",
    as_text: bool = True,
    combine: str = "sum",
    blend: Sequence[dict[str, Any]] = (),
) -> Experiment:
    chosen = {"name": backbone} if isinstance(backbone, str) else backbone
    return parse_experiment(
        {
            "data": {"name": "dataframe", "interactions": events(as_text), "items": items(as_text)},
            "prepare": {"min_user_events": 1},
            "model": {
                "width": 8,
                "max_length": MAX_LENGTH,
                "encoders": encoders,
                "backbone": chosen,
                "combine": combine,
                "blend": list(blend),
            },
            "stages": [{"tasks": [{"name": task}], "epochs": 1}],
            "evaluate": {"resamples": 10},
        }
    )


ID = [{"name": "id"}]
ALL = [*ID, {"name": "categories", "columns": ["genre"]}, {"name": "numbers", "columns": ["price"]}]


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="session")
def run(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    """A run with text ids, content and ratings."""
    return p5core.run(experiment("gpt", ALL), tmp_path_factory.mktemp("runs"), "text", registry)


@pytest.fixture(scope="session")
def exported(run: p5core.Run, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_run(run, tmp_path_factory.mktemp("out") / "export", registry, say=lambda text: None)


@pytest.fixture(scope="session")
def experiment_of() -> Callable[..., Experiment]:
    """Makes experiments on the small catalogue."""
    return experiment


@pytest.fixture(scope="session")
def ids() -> list[str]:
    """Twelve raw ids."""
    return IDS


@pytest.fixture
def traced_once(monkeypatch: pytest.MonkeyPatch, _states: ir.Model) -> None:
    """Exports of `run` share one trace of its network: it does not depend on their options, and takes seconds."""
    monkeypatch.setattr(export, "export_states", lambda serving: _states)


@pytest.fixture(scope="session")
def _states(run: p5core.Run, registry: Registry) -> ir.Model:
    data = load_run_data(run, registry)
    return export_states(serving_of(load_model(run, data, registry), data.target.dataset, ExportOptions()))


def made(registry: Registry, folder: Path, backbone: str, task: str, id_kind: str) -> tuple[Path, Path]:
    """A run and its export."""
    experiment = parse_experiment(
        {
            "data": {"name": "synthetic", "n_users": 50, "n_items": 40, "n_events": 800, "n_clusters": 8,
                     "ratings": True, "id_kind": id_kind},
            "model": {"width": 8, "max_length": 10, "backbone": {"name": backbone}},
            "stages": [{"tasks": [{"name": task}], "epochs": 2}],
            "evaluate": {"resamples": 10},
        }
    )  # fmt: skip
    run = p5core.run(experiment, folder, "run", registry)
    options = ExportOptions(metadata=["title"])
    return run.path, export_run(run, folder / "export", registry, options, lambda text: None).folder


@pytest.fixture(scope="session")
def histories(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made(registry, tmp_path_factory.mktemp("histories"), "gpt", "next_item", "string")


@pytest.fixture(scope="session")
def users(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made(registry, tmp_path_factory.mktemp("users"), "mf", "rating", "int64")


@pytest.fixture(scope="session")
def texts(run: p5core.Run, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with odd text ids and titles."""
    options = ExportOptions(metadata=["title"])
    return export_run(run, tmp_path_factory.mktemp("texts") / "it's", registry, options, lambda text: None).folder


@pytest.fixture(scope="session")
def numbers(experiment_of: Any, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a model of users whose item ids no double can hold, with ratings."""
    folder = tmp_path_factory.mktemp("numbers")
    made = p5core.run(experiment_of("mf", [{"name": "id"}], "rating", as_text=False), folder, "run", registry)
    return export_run(made, folder / "export", registry, say=lambda text: None).folder


@pytest.fixture(scope="session")
def whole(experiment_of: Any, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a model of histories with such item ids and titles, that answers an empty history with nothing."""
    folder = tmp_path_factory.mktemp("whole")
    made = p5core.run(experiment_of("gpt", [{"name": "id"}], as_text=False), folder, "run", registry)
    options = ExportOptions(metadata=["title"], popular=False)
    return export_run(made, folder / "export", registry, options, lambda text: None).folder
