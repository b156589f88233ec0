"""The experiment that the sequential preset writes for a data set."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from p5core.config.document import parse_experiment
from p5core.config.parts import parts_of
from p5core.contracts.part import NoOptions
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Dataset, Events
from p5core.data.vocabulary import Vocabulary
from p5core.fitting.experiment_data import broken_order
from p5core.plugins.discovery import load_plugins
from p5plugins.presets.sequential import VALIDATION_USERS, Sequential, _choices, _least_events

N_ITEMS = 60


def dataset(lengths: list[int], **features: list[object]) -> Dataset:
    """Histories of so many events, one item after the other, and an items table."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    events = Events(offsets, np.arange(offsets[-1], dtype=np.int32) % N_ITEMS, np.arange(offsets[-1]))
    users = [f"u{number}" for number in range(len(lengths))]
    items = pd.DataFrame({"item": [f"i{code}" for code in range(N_ITEMS)], "domain": "default", **features})
    return Dataset(events, Vocabulary.of(users), Catalogue(items), pd.DataFrame({"user": users}), has_clock=True)


@pytest.mark.parametrize(
    ("n_events", "length", "epochs"),
    [
        (1_000, 50, 80),
        (100_000, 50, 32),
        (100_000, 10, 20),
        (200_000, 10, 10),
        (400_000, 50, 10),
        (1_000_000, 50, 10),
        (10_000_000, 50, 5),
    ],
)
def test_larger_logs_are_seen_fewer_times(n_events: int, length: int, epochs: int) -> None:
    assert _choices(dataset([length] * (n_events // length))).epochs == epochs


def test_short_histories_get_wide_vectors_and_narrow_layers() -> None:
    short, long = _choices(dataset([8] * 200)), _choices(dataset([80] * 200))
    assert (short.width, short.feedforward) == (256, 2.0)
    assert (long.width, long.feedforward) == (64, 4.0)


@pytest.mark.parametrize(
    ("events_each", "dropout"), [(1, 0.3), (16, 0.3), (50, 0.3), (60, 0.25), (100, 0.15), (290, 0.05)]
)
def test_items_with_many_events_need_little_dropout(events_each: int, dropout: float) -> None:
    data = dataset([N_ITEMS] * events_each)
    model = tomllib.loads(Sequential(NoOptions()).sections(data))["model"]
    assert model["dropout"] == model["backbone"]["dropout"] == dropout


def test_what_a_preset_writes_is_an_experiment() -> None:
    written = Sequential(NoOptions()).sections(dataset([9] * 200))
    experiment = parse_experiment({"data": {"name": "synthetic"}, **tomllib.loads(written)})
    assert experiment.evaluate.validation_users == VALIDATION_USERS
    assert experiment.stages[0].tasks[0].loss.name == "auto"


@pytest.mark.parametrize("name", list(load_plugins().parts("preset")))
def test_every_preset_writes_an_experiment_without_data_too(name: str) -> None:
    registry = load_plugins()
    written = registry.get("preset", name)(NoOptions()).sections(None)
    experiment = parse_experiment({"data": {"name": "synthetic"}, **tomllib.loads(written)})
    for place in parts_of(experiment):
        registry.choose(place.kind, place.spec, place.key)


def test_nearly_all_histories_are_read_whole() -> None:
    assert _choices(dataset([8] * 95 + [50] * 5)).max_length == 64
    assert _choices(dataset([500] * 20)).max_length == 200


def test_values_that_items_share_are_categories_and_free_text_is_text() -> None:
    data = dataset(
        [5] * 20,
        tags=[[f"tag {code % 7}", f"tag {code % 11}", f"tag {code % 4}"] for code in range(N_ITEMS)],
        kinds=[f"kind {code % 7}|kind {code % 11}|kind {code % 4}" for code in range(N_ITEMS)],
        brand_id=[code % 9 for code in range(N_ITEMS)],
        shopId=list(range(N_ITEMS)),
        story=[f"The story of {code}" for code in range(N_ITEMS)],
        blank=["", " "] * (N_ITEMS // 2),
        price=[code * 1.5 for code in range(N_ITEMS)],
        paid=list(range(N_ITEMS)),
    )
    assert tomllib.loads(Sequential(NoOptions()).sections(data))["model"]["encoders"] == [
        {"name": "id"},
        {"name": "text", "columns": ["story"]},
        {"name": "categories", "columns": ["tags", "kinds", "brand_id"]},
        {"name": "numbers", "columns": ["price", "paid"]},
    ]


@pytest.mark.parametrize(
    ("titles", "columns"),
    [
        (["Toy Story", "Heat", "The Net"], ["title", "tags"]),
        (["千と千尋の神隠し", "卧虎藏龙", "七人の侍"], ["title", "tags"]),
        (["A1", "B2", "C3"], None),
    ],
)
def test_titles_of_several_words_are_read_with_the_categories(titles: list[str], columns: list[str] | None) -> None:
    data = dataset(
        [5] * 20,
        title=[titles[code % 3] for code in range(N_ITEMS)],
        tags=[[f"tag {code % 7}"] for code in range(N_ITEMS)],
    )
    texts = [
        encoder["columns"]
        for encoder in tomllib.loads(Sequential(NoOptions()).sections(data))["model"]["encoders"]
        if encoder["name"] == "text"
    ]
    assert texts == ([columns] if columns else [])


def test_a_log_without_order_gets_parts_that_read_none() -> None:
    data = dataset([N_ITEMS] * 30)  # every history is sorted by item, and there is no clock
    text = Sequential(NoOptions()).sections(replace(data, has_clock=False))
    experiment = tomllib.loads(text)
    assert experiment["split"]["name"] == "random"
    assert experiment["model"]["backbone"]["name"] == "bag"
    assert experiment["model"]["blend"] == [{"name": "ease"}, {"name": "item_knn"}]
    assert experiment["evaluate"]["baselines"] == ["popularity", "ease", "item_knn"]
    assert broken_order(parse_experiment({"data": {"name": "synthetic"}, **experiment}), load_plugins()) == ()
    ordered = tomllib.loads(Sequential(NoOptions()).sections(data))
    assert ordered["model"]["backbone"]["name"] == "filter"


def test_a_minimum_leaves_a_tenth_of_the_events_at_least() -> None:
    """A block of 6 users with the same 6 items, and 100 users with 5 items that two have."""
    block = [list(range(6))] * 6
    pairs = [[6 + (5 * user + nth) // 2 % 250 for nth in range(0, 10, 2)] for user in range(100)]
    histories = block + pairs
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])])
    items = np.concatenate(histories).astype(np.int32)
    events = Events(offsets.astype(np.int64), items, np.arange(len(items)), {})
    users = pd.Index([str(user) for user in range(len(histories))])
    catalogue = Catalogue(pd.DataFrame({"item": [str(item) for item in range(256)], "domain": "default"}))
    log = Dataset(events, Vocabulary.of(users), catalogue, pd.DataFrame({"user": users}), has_clock=True)
    assert (np.bincount(items)[6:] >= 2).mean() > 0.9
    assert _least_events(log, 5) == 2
    only_block = events.select(events.users < 6)
    assert _least_events(replace(log, events=only_block), 5) == 5
