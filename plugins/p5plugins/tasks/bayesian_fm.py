"""Ratings by a Bayesian factorisation machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from p5core.config.base import Config, Tunable
from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import RowLabels
from p5core.contracts.loss import Loss
from p5core.contracts.task import Output, SolvedTask, TaskInfo, TaskNetwork, TrainingData
from p5core.data.catalogue import Catalogue, Users
from p5core.data.columns import RATING
from p5core.data.dataset import Events
from p5core.errors import ConfigError, did_you_mean
from p5core.model.item_embeddings import EntityEmbeddings
from p5core.model.network import Network
from p5plugins.tasks.attributes import design_of, rated_items, rating_users
from p5plugins.tasks.gibbs import Design, Numbers, Ratings, Side, sweep

__all__ = ["BayesianFM", "BayesianFMConfig", "BayesianHead"]

SPREAD = 0.1
"""Standard deviation of the factors before the first epoch."""


class BayesianFMConfig(Config):
    """Options of the Bayesian factorisation machine."""

    rank: Annotated[int, Tunable(4, 32)] = Field(8, ge=1, le=1_000)
    """Dimensions of one sample of the factors; model.width holds (width - 1) / rank samples."""

    burn_in: int = Field(20, ge=0, le=1_000_000)
    """Epochs before the first sample is kept."""

    implicit: bool = True
    """Describe users by the items they rated, and items by the users who rated them."""

    attributes: list[str] | Literal["all"] = "all"
    """Columns of the tables of items and users that describe them."""


class _SideOfChain(nn.Module):
    """The newest sample of the weights of users or of items."""

    own: Tensor
    attributes: Tensor
    means: Tensor

    def __init__(self, rank: int, n_entities: int, n_attributes: int) -> None:
        super().__init__()
        start = torch.randn(n_entities, rank) * SPREAD
        self.register_buffer("own", torch.cat([start, torch.zeros(n_entities, 1)], dim=1))
        self.register_buffer("attributes", torch.zeros(n_attributes, rank + 1))
        self.register_buffer("means", torch.zeros(rank + 1))

    def side(self, design: Design) -> Side:
        """The sample as it is drawn from."""
        own, of_attributes, means = (buffer.cpu().numpy().astype(np.float64) for buffer in self.buffers())
        return Side(design, np.ascontiguousarray(own.T), np.ascontiguousarray(of_attributes.T), means)

    def keep(self, side: Side) -> None:
        """Store a sample."""
        for buffer, value in zip(self.buffers(), (side.own.T, side.of_attributes.T, side.means), strict=True):
            buffer.copy_(torch.from_numpy(value))


class BayesianHead(nn.Module):
    """The mean of the kept samples: mean + bias of the user + state · vector, within the range of the ratings.

    The last dimension of a vector is the bias of the item, that of a state is 1. `users` and `items` hold the newest
    sample, from which the next one is drawn.
    """

    mean: Tensor
    lowest: Tensor
    highest: Tensor
    n_kept: Tensor
    offset: Tensor

    def __init__(self, info: TaskInfo, rank: int, sizes: Mapping[str, tuple[int, int]]) -> None:
        """`sizes` are the numbers of entities and of their attributes."""
        super().__init__()
        ratings = info.events.fields.get(RATING, np.zeros(1))
        for name, value in {"mean": ratings.mean(), "lowest": ratings.min(), "highest": ratings.max()}.items():
            self.register_buffer(name, torch.tensor(float(value)))
        self.register_buffer("n_kept", torch.tensor(0))
        self.user_bias = nn.Embedding(info.n_users, 1)
        self.item_bias = nn.Embedding(info.n_items, 1)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)
        self.register_buffer("offset", torch.tensor(float(ratings.mean())))
        self.users, self.items = _SideOfChain(rank, *sizes["users"]), _SideOfChain(rank, *sizes["items"])

    def keep(self, user_table: Tensor, item_table: Tensor, users: Numbers, items: Numbers) -> None:
        """Write a sample of users (D + 1, U) and items (D + 1, V) into the next place of the vectors.

        All means are those of the samples so far, the products of vectors included.
        """
        nth, rank = int(self.n_kept), len(users) - 1
        place, share = slice(nth * rank, (nth + 1) * rank), 1 / (nth + 1)
        if nth == 0:
            user_table.zero_()
            item_table.zero_()
        user_table *= 1 - share
        user_table[:, place] = torch.from_numpy(users[:-1].T * share)
        item_table[:, place] = torch.from_numpy(items[:-1].T)
        for mean, value in (
            (self.mean, self.offset),
            (self.user_bias.weight.data, torch.from_numpy(users[-1:].T)),
            (self.item_bias.weight.data, torch.from_numpy(items[-1:].T)),
        ):
            mean.copy_(value if nth == 0 else mean + (value.to(mean.device) - mean) * share)
        user_table[:, -1] = 1.0
        item_table[:, -1] = self.item_bias.weight.data[:, 0]

    def forward(self, states: Tensor, vectors: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """(N,) ratings from states (N, D), item vectors (N, D), user codes (N,) and item codes (N,), -1 unknown."""
        is_known = users >= 0
        own = self.user_bias(users.clamp_min(0)).squeeze(-1) * is_known
        of_item = self.item_bias(items.clamp_min(0)).squeeze(-1) * ((items >= 0) & ~is_known)
        rating: Tensor = self.mean + own + of_item + (states * vectors).sum(dim=-1)
        return rating.clamp(min=self.lowest, max=self.highest)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Ratings and attributes, the same in every epoch."""

    events: Events
    ratings: Ratings
    users: Design
    items: Design


class BayesianFM(SolvedTask):
    """Predict ratings by a Bayesian factorisation machine (Rendle, doi 10.1145/2168752.2168771), with backbone `mf`.

    A rating is normal around mean + bias of the user + bias of the item + user · item. The vector of a user is the sum
    of one of its own, of those of its attributes, and of those of the items that it rated; that of an item likewise.
    An epoch draws each weight once, given all others and the precisions (Gibbs sampling: Salakhutdinov and Mnih,
    doi 10.1145/1390156.1390267); the attributes of one dimension are drawn together, as the solution of a perturbed
    system (Papandreou and Yuille, NIPS 2010). The kept samples lie side by side in the vectors of users and items, so
    that their mean prediction is one dot product.
    """

    name = "bayesian_fm"
    Config = BayesianFMConfig
    config: BayesianFMConfig
    loss_kind = "value"
    outputs: ClassVar[Mapping[str, Output]] = {"scores": Output("ranking"), "ratings": Output("value", RATING)}
    metrics = ("mae", "rmse")
    fields: ClassVar[tuple[str, ...]] = (RATING,)

    def __init__(self, config: BayesianFMConfig, loss: Loss) -> None:
        super().__init__(config, loss)
        self._problem: _Problem | None = None

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Refuse a backbone that reads histories, and events without ratings."""
        if backbone.uses_history:
            raise ConfigError(
                f"Task '{cls.name}' needs a backbone with vectors of users; '{backbone.name}' reads histories. Use mf."
            )
        if RATING not in events.fields:
            raise ConfigError(f"Task '{cls.name}' needs ratings, and this data has none. Name their column in [data].")

    def layers(self, info: TaskInfo) -> nn.Module:
        """The head with the newest sample; raises ConfigError for vectors that hold no sample."""
        if info.width <= self.config.rank:
            raise ConfigError(
                f"Task '{self.name}' with rank = {self.config.rank} needs model.width = {self.config.rank + 1} or more "
                f"(now {info.width}): each {self.config.rank} dimensions hold a sample, and one the biases."
            )
        users, items = self._designs(info.events, info.users, info.catalogue)
        sizes = {"users": (info.n_users, len(users.groups)), "items": (info.n_items, len(items.groups))}
        return BayesianHead(info, self.config.rank, sizes)

    def row_labels(self) -> Mapping[str, RowLabels]:
        """Biases and newest samples, one an item or a user."""
        return {
            "item_bias.weight": "item",
            "user_bias.weight": "user",
            "items.own": "item",
            "users.own": "user",
        }

    def update(
        self, network: TaskNetwork, data: TrainingData, epoch: int, n_epochs: int, rng: np.random.Generator
    ) -> float:
        """Draw a sample, and keep it if its turn has come; returns the mean squared error of the newest sample."""
        head = cast("BayesianHead", network.task_layers[self.name])
        problem = self._problem_of(data)
        users, items = head.users.side(problem.users), head.items.side(problem.items)
        offset, error = sweep(problem.ratings, float(head.offset), users, items, rng)
        head.users.keep(users)
        head.items.keep(items)
        head.offset.fill_(offset)
        tables = (
            _table(cast("Network", network).users, "user_encoders"),
            _table(cast("Network", network).items, "encoders"),
        )
        if self._is_due(epoch, n_epochs, (tables[0].shape[1] - 1) // self.config.rank):
            head.keep(*tables, users.values(), items.values())
            head.n_kept += 1
        elif head.n_kept == 0:
            head.keep(*tables, users.values(), items.values())
        return error

    def _is_due(self, epoch: int, n_epochs: int, n_places: int) -> bool:
        """True for as many epochs as there are places, evenly after the burn-in, the last one among them."""
        step = max(1, (n_epochs - self.config.burn_in) // n_places)
        nth_last, between = divmod(n_epochs - 1 - epoch, step)
        return epoch >= self.config.burn_in and between == 0 and nth_last < n_places

    def _problem_of(self, data: TrainingData) -> _Problem:
        if self._problem is None or self._problem.events is not data.events:
            events, weights = data.events, data.events.weights
            values = events.fields[RATING].astype(np.float64)
            shares = np.ones(len(events)) if weights is None else weights.astype(np.float64)
            ratings = Ratings(events.users, events.items, values, shares)
            self._problem = _Problem(events, ratings, *self._designs(events, data.users, data.catalogue))
        return self._problem

    def _designs(self, events: Events, users: Users, catalogue: Catalogue) -> tuple[Design, Design]:
        """Those of the users and of the items; raises ConfigError for a column that neither table has."""
        columns, available = self.config.attributes, [*users.features, *catalogue.features]
        for name in () if columns == "all" else columns:
            if name not in available:
                listed = f"Found: {', '.join(available)}." if available else "There are none: load an items table."
                hint = did_you_mean(name, available)
                raise ConfigError(
                    f"Task '{self.name}': no table has a column '{name}', which attributes names.{hint} {listed}"
                )
        rated = rated_items(events, len(catalogue)) if self.config.implicit else None
        rating = rating_users(events, len(catalogue)) if self.config.implicit else None
        return design_of(users, columns, rated), design_of(catalogue, columns, rating)


def _table(entities: EntityEmbeddings | None, option: str) -> Tensor:
    """(N, D) the vectors of all entities, which are free; raises ConfigError if they are made of anything else."""
    encoders = [] if entities is None else list(entities.encoders)
    weights = [weight for encoder in encoders for weight in encoder.parameters()]
    if entities is None or len(encoders) != 1 or len(weights) != 1 or entities.unit:
        raise ConfigError(
            f"Task 'bayesian_fm' needs model.{option} = [{{ name = \"id\" }}] and unit_items = false; attributes are "
            "read by the task itself."
        )
    return weights[0].data
