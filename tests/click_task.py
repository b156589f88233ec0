"""A task that predicts clicks by a head of its own, and a metric that measures it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from p5core import Batch, EvalResult, FollowingTask, Metric, Output, ProbabilityLoss, TaskInfo, TaskNetwork, hookimpl

__all__ = ["Brier", "Click", "ClickPlugin"]


class Click(FollowingTask):
    """Predict whether the next item is clicked."""

    name = "click"
    loss_kind = "probability"
    outputs = {"clicks": Output("probability", "click")}
    metrics = ("brier",)
    fields = ("click",)
    loss_function: ProbabilityLoss

    def layers(self, info: TaskInfo) -> nn.Module:
        return nn.Bilinear(info.width, info.width, 1)

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        found = self.targets(network, batch)
        logits = network.task_layers[self.name](found.states.float(), network.items.vectors(found.items).float())
        return self.loss_function(logits.squeeze(-1), found.fields["click"])

    def predict(
        self, layers: nn.Module, output: str, states: Tensor, vectors: Tensor, users: Tensor, items: Tensor
    ) -> Tensor:
        return torch.sigmoid(layers(states, vectors).squeeze(-1))


class Brier(Metric):
    """Mean squared error of predicted probabilities."""

    name = "brier"
    needs = "probabilities"
    higher_is_better = False

    def values(self, result: EvalResult) -> npt.NDArray[np.float64]:
        found = result.predictions["probabilities"]
        return found.mean_by_user((found.predicted - found.observed) ** 2)


class ClickPlugin:
    """Brings both."""

    @hookimpl
    def p5_tasks(self) -> list[type]:
        return [Click]

    @hookimpl
    def p5_metrics(self) -> list[type]:
        return [Brier]
