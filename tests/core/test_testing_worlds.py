"""The conformance kit lets parts pass that need users, columns or names of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from torch import Tensor, nn

from p5core.contracts.encoder import Encoder, Features
from p5core.contracts.part import Part
from p5core.data.catalogue import Catalogue, Entities
from p5core.errors import UnknownPartError
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.testing import cases, check_part
from p5core.testing.world import toy_world


class Age(Encoder):
    """The age of a user."""

    name = "age"
    encodes = ("user",)

    @classmethod
    def features(cls, config: Any, entities: Entities) -> Features:
        ages = entities.frame["age"].to_numpy(dtype=np.float32)
        return Features(len(entities), {"values": np.nan_to_num(ages, nan=50.0) / 100})

    def __init__(self, config: Any, features: Features, width: int) -> None:
        super().__init__(config, features, width)
        self.register_buffer("values", features.tensor("values"), persistent=False)
        self.linear = nn.Linear(1, width)

    def forward(self, codes: Tensor) -> Tensor:
        return cast(Tensor, self.linear(cast(Tensor, self.values)[codes, None]))


class Colours(Age):
    """A column that the kit's own items lack."""

    name = "colours"
    encodes = ("item",)

    @classmethod
    def features(cls, config: Any, entities: Entities) -> Features:
        return Features(len(entities), {"values": entities.frame["colour"].to_numpy(dtype=np.float32)})


class _Good:
    """Brings parts that the kit must let pass."""

    @hookimpl
    def p5_encoders(self) -> list[type[Part]]:
        return [Age, Colours]


def test_an_encoder_of_users_is_checked_by_users() -> None:
    check_part(load_plugins([("good", _Good())]), "encoder", "age")


def test_a_world_of_ones_own_reaches_every_check() -> None:
    world = toy_world()
    frame = world.catalogue.frame.assign(colour=np.linspace(0, 1, world.n_items))
    registry, mine = load_plugins([("good", _Good())]), replace(world, catalogue=Catalogue(frame))
    check_part(registry, "encoder", "colours", world=mine)


def test_a_part_is_tested_under_each_of_its_names() -> None:
    registry = load_plugins([("good", _Good())])
    qualified = registry.info("encoder", "age").qualified
    assert len(cases(registry, "encoder", qualified)) == len(cases(registry, "encoder", "age")) > 8
    with pytest.raises(UnknownPartError, match="Unknown encoder 'agee'"):
        check_part(registry, "encoder", "agee")
