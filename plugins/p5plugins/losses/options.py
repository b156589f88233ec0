"""Options that several losses share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from p5core.config.base import Config, Tunable

__all__ = ["SoftmaxConfig"]


class SoftmaxConfig(Config):
    """Options of a softmax over items."""

    temperature: Annotated[float, Tunable(0.3, 3, log=True)] = Field(1.0, gt=0)
    """Softmax temperature; below 1 emphasises the hardest negatives."""
