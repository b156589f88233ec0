"""Options that several losses share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from p5core.config.base import Config, Tunable

__all__ = ["SoftmaxConfig"]


class SoftmaxConfig(Config):
    """Options of a softmax over items."""

    temperature: Annotated[float, Tunable(0.3, 3, log=True)] = Field(1.0, gt=0)
    """Scores are divided by it; below 1 the loss looks harder at the strongest wrong items."""
