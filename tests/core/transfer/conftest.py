"""Two shops with titles, and a base that was trained on both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import p5core
from p5core.config.base import PartSpec
from p5core.config.document import parse_experiment
from p5core.config.tree import parse_toml
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.base import Base
from p5core.transfer.pretrain import pretrain

Make = Callable[..., p5core.Experiment]

MODEL = (
    'model = { width = 16, max_length = 8, dropout = 0.0, backbone = { name = "gpt", n_layers = 1, n_heads = 1 }, '
    'encoders = [{ name = "text", columns = ["title"], dimension = 16 }, { name = "id" }] }'
)


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_plugins()


def write_shop(folder: Path, name: str, n_items: int, seed: int) -> str:
    """A log with titles of few words; returns its [data] section."""
    options = {"n_users": 60, "n_items": n_items, "n_events": 900, "n_clusters": 5, "seed": seed}
    spec = PartSpec.model_validate({"name": "synthetic", **options})
    loader = load_plugins().choose("loader", spec).build()
    raw = loader.load()
    words = ["red", "green", "blue", "large", "small", "old", "new"]
    items = raw.interactions["item"].drop_duplicates().sort_values().reset_index(drop=True)
    titles = [f"{words[n % 6]} {words[n // 6]} {name} {n % 4}" for n in range(len(items))]
    raw.interactions.to_csv(folder / f"{name}.csv", index=False)
    pd.DataFrame({"item": items, "title": titles}).to_csv(folder / f"{name}-items.csv", index=False)
    table = f"path = '{folder / name}.csv', items = '{folder / name}-items.csv', domain = '{name}'"
    return f"{{ name = 'table', {table} }}"


def make_experiment(data: str, model: str = MODEL, start: str = "", sources: str = "") -> p5core.Experiment:
    text = f"""
        data = {data}
        {model}
        stages = [{{ epochs = 2, token_budget = 200{start}{sources} }}]
        evaluate = {{ baselines = [], resamples = 0, metrics = ["ndcg@10"] }}
        prepare = {{ min_user_events = 3, min_item_events = 1 }}
    """
    return parse_experiment(parse_toml(text, "test"))


@pytest.fixture(scope="session")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shops")
    return {name: write_shop(folder, name, n, seed) for name, n, seed in (("games", 40, 1), ("films", 30, 2))}


@pytest.fixture(scope="session")
def base(shops: dict[str, str], registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A base of both shops."""
    folder = tmp_path_factory.mktemp("base")
    sources = f", sources = [{{}}, {{ data = {shops['films']} }}]"
    chosen = make_experiment(shops["games"], sources=sources)
    return pretrain(chosen, folder / "base", folder, "first", registry, licence="CC0-1.0")


@pytest.fixture(scope="session")
def experiment() -> Make:
    """Makes a small experiment on a [data] section, with another model, start or sources."""
    return make_experiment
