"""The places of an experiment where parts stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from p5core.config.base import PartRef, PartSpec, Slot
from p5core.config.experiment import Experiment, ModelConfig
from p5core.config.tree import Steps

__all__ = ["Place", "parts_of"]


@dataclass(frozen=True)
class Place:
    """One part that an experiment names."""

    kind: str
    steps: Steps
    """such as ("stages", 0, "tasks", 0, "loss")"""

    spec: PartRef

    @property
    def key(self) -> str:
        """The place as `--set` names it."""
        return ".".join(map(str, self.steps))


def parts_of(experiment: Experiment) -> Iterator[Place]:
    """Every part that an experiment names, in the order of the file."""
    yield from _parts_in(experiment, ())


NETWORK = ("encoders", "user_encoders", "backbone")
"""Options of the model that a model without a network leaves open."""


def _parts_in(config: BaseModel, steps: Steps) -> Iterator[Place]:
    for name, field in type(config).model_fields.items():
        slot = next((mark for mark in field.metadata if isinstance(mark, Slot)), None)
        if name in NETWORK and isinstance(config, ModelConfig) and config.scorer is not None:
            continue
        value, place = getattr(config, name), (*steps, field.alias or name)
        values = (
            [((*place, nth), spec) for nth, spec in enumerate(value)] if isinstance(value, list) else [(place, value)]
        )
        for where, member in values:
            if slot is not None and isinstance(member, (str, PartSpec)):
                yield Place(slot.kind, where, member)
            if isinstance(member, BaseModel):
                yield from _parts_in(member, where)
