"""Starting from other weights: known rows stay, new ones start from the mean, other shapes are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch

from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import Encoder, Features
from p5core.contracts.part import NoOptions
from p5core.data.catalogue import Catalogue
from p5core.errors import ConfigError
from p5core.model.item_embeddings import EntityEmbeddings, ItemEmbeddings
from p5core.model.network import Network
from p5core.model.warm_start import Source, warm_start
from p5core.testing.toys import AllMean, FreeVectors, PastMean, UserVector
from p5plugins.encoders.categories import Categories, CategoriesConfig
from p5plugins.encoders.id import IdEmbedding
from p5plugins.tasks.rating import RatingHead, RatingPrediction


@dataclass(frozen=True)
class Started:
    """A network and the labels of its items and users."""

    network: Network
    entities: dict[str, pd.Index[Any]]


def network(
    items: list[str],
    users: list[str],
    *,
    width: int = 4,
    backbone: type[Backbone] = PastMean,
    rating_mean: float | None = None,
    genres: list[str] | None = None,
    seed: int = 0,
) -> Started:
    torch.manual_seed(seed)
    catalogue = Catalogue(pd.DataFrame({"item": items, "domain": "default", "genre": genres or ["x"] * len(items)}))
    encoders: list[Encoder] = [FreeVectors(NoOptions(), Features(len(items)), width)]
    if genres:
        config = CategoriesConfig(columns=["genre"])
        encoders.append(Categories(config, Categories.features(config, catalogue), width))
    of_users = IdEmbedding(NoOptions(), Features(len(users), about={"kind": "user"}), width)
    vectors = None if backbone.uses_history else EntityEmbeddings([of_users])
    made = Network(ItemEmbeddings(encoders), backbone(NoOptions(), width, 9), 0.0, vectors)
    if rating_mean is not None:
        head = RatingHead(None if backbone.uses_history else len(users), len(items), width, rating_mean)
        if head.user_bias is not None:
            torch.nn.init.normal_(head.user_bias.weight)
        torch.nn.init.normal_(head.item_bias.weight)
        made.add_task("rating", head, RatingPrediction.row_labels(cast("Any", None)))
    return Started(made, {"item": catalogue.index, "user": pd.Index(users)})


def started(new: Started, old: Started) -> Network:
    weights = {name: value.clone() for name, value in old.network.state_dict().items()}
    warm_start(new.network, new.entities, Source(weights, old.network.row_labels(), old.entities))
    return new.network


def test_known_ids_keep_their_rows_exactly_and_new_ones_get_the_mean() -> None:
    old = network(["a", "b", "c"], ["u", "v"], backbone=UserVector, rating_mean=2.0)
    new = started(network(["c", "n", "a"], ["w", "v"], backbone=UserVector, rating_mean=3.0, seed=1), old)
    before, after = old.network.state_dict(), new.state_dict()
    for name, rows in {
        "items.encoders.0.vectors.weight": [2, None, 0],
        "tasks.rating.item_bias.weight": [2, None, 0],
        "users.encoders.0.embedding.weight": [None, 1],
        "tasks.rating.user_bias.weight": [None, 1],
    }.items():
        mean = before[name].mean(dim=0)
        for place, row in enumerate(rows):
            assert torch.equal(after[name][place], mean if row is None else before[name][row])
    assert after["tasks.rating.mean"] == before["tasks.rating.mean"]


def test_an_item_of_known_content_starts_where_its_content_stands() -> None:
    old = network(["a", "b"], ["u"], genres=["war", "drama"])
    new = started(network(["a", "n"], ["u"], genres=["war", "drama"], seed=1), old)
    free = old.network.state_dict()["items.encoders.0.vectors.weight"]
    content = old.network.items.encoders[1](torch.arange(2))
    assert torch.equal(new.items.vectors()[0], old.network.items.vectors()[0])
    assert torch.allclose(new.items.vectors()[1], free.mean(dim=0) + content[1], atol=1e-6)


def test_counts_stay_those_of_the_networks_own_data() -> None:
    old, new = network(["a", "b"], ["u"]), network(["a", "b"], ["u"], seed=1)
    old.network.items.counts.fill_(9)
    new.network.items.counts.fill_(2)
    assert started(new, old).items.counts.tolist() == [2.0, 2.0]


def test_a_rating_head_that_only_one_has_is_left_out() -> None:
    old, new = network(["a", "b"], ["u"]), network(["a", "b"], ["u"], rating_mean=3.0, seed=1)
    head = {name: value.clone() for name, value in new.network.state_dict().items() if "tasks" in name}
    assert head
    started(new, old)
    assert all(torch.equal(new.network.state_dict()[name], value) for name, value in head.items())
    started(network(["a", "b"], ["u"]), new)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (
            {},
            {"width": 6},
            r"has shape \(2, 4\) in the weights to start from and \(2, 6\) here. Use the same \[model\]",
        ),
        ({}, {"backbone": AllMean}, r"lack 'mask_vector': the stored run was made with another \[model\] section"),
        ({}, {"genres": ["x", "y"]}, "lack 'items.encoders.1.embedding.weight'"),
    ],
)
def test_networks_of_another_shape_are_refused(old: dict[str, object], new: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        started(network(["a", "b"], ["u"], **new), network(["a", "b"], ["u"], **old))


def test_equal_vocabularies_copy_everything() -> None:
    old = network(["a", "b"], ["u"], backbone=AllMean)
    new = started(network(["a", "b"], ["u"], backbone=AllMean, seed=1), old)
    assert all(torch.equal(value, new.state_dict()[name]) for name, value in old.network.state_dict().items())
    assert np.isfinite(new.items.vectors().detach().numpy()).all()
