"""The contract of encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from p5core.contracts.part import Part
from p5core.data.catalogue import Entities

__all__ = ["Encoder", "EntityKind", "Features", "RowLabels"]

EntityKind = Literal["item", "user"]

RowLabels = EntityKind | Sequence[str]
"""Labels of the rows of a tensor: "item" or "user" for one row per entity, or one label per row."""


@dataclass(frozen=True, eq=False)
class Features:
    """Fixed inputs of an encoder, computed once from its entities and stored with the run."""

    n_rows: int
    """number of entities"""

    arrays: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    """name → array of any shape"""

    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """name → texts, such as the value of each embedding row"""

    about: Mapping[str, str] = field(default_factory=dict)
    """provenance: `model`, `revision` and `licence` of whatever computed them"""

    def tensor(self, name: str) -> Tensor:
        """An array as a tensor."""
        return torch.from_numpy(np.array(self.arrays[name]))


class Encoder(Part, nn.Module, ABC):
    """Turns items, or users, into vectors from their ids or their content.

    `features` reads the content once; a run stores what it returns, and every later use of the run starts from the
    stored features. So a finished run needs no file outside its folder.
    """

    encodes: ClassVar[tuple[EntityKind, ...]] = ("item",)
    """Kinds of entities that it can encode."""

    @classmethod
    def features(cls, config: Any, entities: Entities) -> Features:
        """Compute the fixed inputs of `forward`, for all entities in code order.

        A pure function: equal options and entities give equal features in every process. May read files and run
        models. Raises ConfigError when a column is missing.
        """
        return Features(len(entities))

    @classmethod
    def extend(cls, config: Any, entities: Entities, base: Features) -> Features:
        """Compute features that weights trained with the features `base` can read; all entities of `base` are here.

        Override it where features depend on the whole table, as word frequencies do.
        """
        return cls.features(config, entities)

    @classmethod
    def shared(cls, features: Features) -> Features:
        """The features without their entities: as much of them as `extend` needs, in which no item can be read.

        Override it where `extend` reads arrays.
        """
        return Features(0, labels=features.labels, about=features.about)

    def __init__(self, config: Any, features: Features, width: int) -> None:
        """Build for the entities of `features` and vectors of `width` D."""
        nn.Module.__init__(self)
        Part.__init__(self, config)
        self.n_rows = features.n_rows
        self.width = width

    @abstractmethod
    def forward(self, codes: Tensor) -> Tensor:
        """Encode entities: codes (N,) int64 in 0..n_rows-1 → vectors (N, D)."""

    def row_labels(self) -> Mapping[str, RowLabels]:
        """Name the rows of parameters and buffers whose first axis grows with the data.

        Keys are state-dict names. When training goes on with other data, rows of equal label keep their values and new
        rows start from the mean of the old ones; everything else must keep its shape. "item" or "user" says that there
        is one row for each entity.
        """
        return {}
