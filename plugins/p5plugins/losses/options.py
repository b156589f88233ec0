"""Options that several losses share."""

from __future__ import annotations

from pydantic import Field

from p5core.config import Config

__all__ = ["SoftmaxConfig"]


class SoftmaxConfig(Config):
    """Options of a softmax over items."""

    temperature: float = Field(1.0, gt=0)
    """Scores are divided by it; below 1 the loss looks harder at the strongest wrong items."""
