"""The contract of training tasks, and the base of those that predict the following event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from p5core.contracts.backbone import Backbone
from p5core.contracts.encoder import RowLabels
from p5core.contracts.loss import Candidates, Loss
from p5core.contracts.part import Part
from p5core.data.batch import Batch
from p5core.data.catalogue import Catalogue, Users
from p5core.data.dataset import Events
from p5core.data.following import following_batch, following_plan
from p5core.errors import ConfigError

__all__ = ["FollowingTask", "Output", "SolvedTask", "Targets", "Task", "TaskInfo", "TaskNetwork", "TrainingData"]


@dataclass(frozen=True)
class Output:
    """One output of a trained task."""

    kind: Literal["ranking", "value", "probability", "text"]

    field: str = ""
    """Field of the events that holds the observed value; empty for a ranking."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Events that a task draws its batches from."""

    events: Events
    backbone: type[Backbone]
    """reader of the batches: they differ for causal, bidirectional and user-vector backbones"""

    max_length: int
    """history items that the backbone reads at most"""

    token_budget: int
    """positions of one batch, padding included"""

    catalogue: Catalogue
    users: Users


@dataclass(frozen=True, eq=False)
class TaskInfo:
    """Sizes and data from which a task builds its layers."""

    width: int
    """D, length of states and item vectors"""

    n_items: int
    n_users: int
    backbone: type[Backbone]
    events: Events
    """training events"""

    catalogue: Catalogue
    users: Users


class TaskNetwork(Protocol):
    """The interface of the network that tasks use."""

    @property
    def items(self) -> Candidates:
        """The items of the catalogue and their vectors."""

    @property
    def task_layers(self) -> Mapping[str, nn.Module]:
        """Name of a task → the layers that it made."""

    def states(self, batch: Batch) -> Tensor:
        """(B, T, D) states of a batch."""

    def last_states(self, users: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """(B, D) states behind the histories `items` (B, T), right-padded, of `lengths` (B,)."""


class Task(Part, ABC):
    """A training objective: batches, layers, loss and outputs.

    `plan` cuts an epoch into batches and `batch` fills one of them. Both are functions of their generator alone, so
    that a stopped run goes on in the middle of an epoch exactly as if it had not been stopped. Epochs may have
    different numbers of batches. `loss` is None where a stored task predicts without being trained. Parameters belong
    into `layers`: those of the task itself would neither be trained nor stored, and are refused.
    """

    loss_kind: ClassVar[str] = "ranking"
    """Kind of loss that it accepts: "ranking", "value" or "probability"."""

    default_loss: ClassVar[str | None] = None
    """Name of the loss used for "auto"; None uses the default of its kind."""

    outputs: ClassVar[Mapping[str, Output]] = {"scores": Output("ranking")}
    """Name → output. The name is also that of the output of an exported model."""

    metrics: ClassVar[tuple[str, ...]]
    """Metrics of an experiment that names none; the last one is used for early stopping."""

    is_solved: ClassVar[bool] = False
    """True if it fits the network itself, without a loss: of a `SolvedTask` alone."""

    def __init__(self, config: Any, loss: Loss) -> None:
        super().__init__(config)
        self.loss_function = loss

    @classmethod
    @abstractmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Raise ConfigError if the task does not fit the backbone or the data."""

    def layers(self, info: TaskInfo) -> nn.Module | None:
        """Make the task's own layers, if it has any.

        They are `network.task_layers[self.name]`: trained, saved and moved with the network, and left out of an export
        unless `predict` needs them.
        """
        return None

    def row_labels(self) -> Mapping[str, RowLabels]:
        """As `Encoder.row_labels`, for the layers."""
        return {}

    @abstractmethod
    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Any]:
        """Plan one epoch: batches in random order, each an argument of `batch`."""

    @abstractmethod
    def batch(self, data: TrainingData, rows: Any, rng: np.random.Generator) -> Batch:
        """Build one batch of the plan."""

    @abstractmethod
    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """Mean loss of a batch, a scalar."""

    def predict(
        self, layers: nn.Module, output: str, states: Tensor, vectors: Tensor, users: Tensor, items: Tensor
    ) -> Tensor:
        """(N,) the value or probability `output` of `items` (N,) for `users` (N,) in `states` (N, D).

        `vectors` (N, D) are those of the items. An unknown item has the code -1 and a vector of zeros, an unknown user
        the code -1.
        """
        predicted: Tensor = layers(states, vectors, users, items)
        return predicted


class SolvedTask(Task):
    """A task that fits the network itself, epoch by epoch, without gradients; it is the only task of its stage."""

    is_solved = True

    @abstractmethod
    def update(
        self, network: TaskNetwork, data: TrainingData, epoch: int, n_epochs: int, rng: np.random.Generator
    ) -> float:
        """Change the weights of the network in one of `n_epochs` epochs; returns the loss.

        It is a function of the weights and the generator alone, so that a stopped run goes on as if it had not been
        stopped: what the next epoch needs belongs into `layers`.
        """

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Any]:
        """One batch, which stands for all events."""
        return [None]

    def batch(self, data: TrainingData, rows: Any, rng: np.random.Generator) -> Batch:
        """No histories: `update` reads the events."""
        none = torch.zeros(0, dtype=torch.int64)
        return Batch(none, none[:, None], none, weight=len(data.events))

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """Raise NotImplementedError: nothing is trained by gradients."""
        raise NotImplementedError(f"Task '{self.name}' is solved by `update`.")


@dataclass(frozen=True, eq=False)
class Targets:
    """The N targets of a batch."""

    states: Tensor
    """(N, D) states that should predict them"""

    users: Tensor
    """(N,) user codes"""

    items: Tensor
    """(N,) item codes"""

    fields: Mapping[str, Tensor]
    """name → (N,) fields of the target events"""


class FollowingTask(Task):
    """Base of tasks in which each state predicts the event that follows.

    A bidirectional backbone is asked for one event a window and epoch, through a mask at the end; a backbone without
    history is asked for every event of its user.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    """Fields of the target events that `loss` reads."""

    @classmethod
    def check(cls, backbone: type[Backbone], events: Events) -> None:
        """Refuse data without a field that is read, and histories of one event where a history is read."""
        for name in cls.fields:
            if name not in events.fields:
                raise ConfigError(
                    f"Task '{cls.name}' needs the field '{name}' of the events, and this data has none. Name its "
                    "column in [data], or keep it with prepare.fields."
                )
        if backbone.uses_history and not (np.diff(events.offsets) > 1).any():
            raise ConfigError(f"Task '{cls.name}' needs a user with two training events or more; there is none.")

    def plan(self, data: TrainingData, rng: np.random.Generator) -> Sequence[Any]:
        """Each event but a user's first is a target of one window."""
        return following_plan(data.events, data.backbone.uses_history, data.max_length, data.token_budget, rng)

    def batch(self, data: TrainingData, rows: Any, rng: np.random.Generator) -> Batch:
        """Histories with the following items as targets, and their fields."""
        backbone = data.backbone
        return following_batch(data.events, backbone.causal, backbone.uses_history, self.fields, rows, rng)

    def targets(self, network: TaskNetwork, batch: Batch) -> Targets:
        """The targets of a batch, drawn by their weights if they have any, and the states that should predict them."""
        assert batch.targets is not None
        chosen = batch.target_places()
        return Targets(
            network.states(batch)[chosen],
            batch.users[:, None].expand_as(batch.targets)[chosen],
            batch.targets[chosen],
            {name: batch.extra[name][chosen] for name in self.fields},
        )
