"""The split that trains on a part of the items alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from p5core.config.base import Config
from p5core.contracts.split import Split
from p5core.data.dataset import Dataset
from p5core.data.holdout import Role
from p5plugins.splits.leave_one_out import last_two

__all__ = ["ItemCold", "ItemColdConfig"]


class ItemColdConfig(Config):
    """Options of the item-cold split."""

    share: float = Field(0.1, gt=0, lt=1)
    """Share of the items, drawn at random, that are never trained on."""


class ItemCold(Split):
    """Leave-one-out, with items that are never trained on: they are read in histories and are to be found by content.

    Figures of warm and of cold targets stand apart in the report.
    """

    name = "item_cold"
    Config = ItemColdConfig
    config: ItemColdConfig

    def roles(self, dataset: Dataset, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        roles = last_two(dataset)
        n_cold = max(1, round(self.config.share * dataset.n_items))
        is_cold = np.zeros(dataset.n_items, dtype=np.bool_)
        is_cold[rng.choice(dataset.n_items, n_cold, replace=False)] = True
        roles[(roles == Role.TRAIN) & is_cold[dataset.events.items]] = Role.HISTORY
        return roles
