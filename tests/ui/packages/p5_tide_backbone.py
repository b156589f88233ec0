"""Ebb and flow."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from p5plugins.backbones.recurrent import GRU

__all__ = ["Tide", "TideConfig"]


class TideConfig(GRU.Config):
    """Options of the tide."""

    height: float = Field(0.5, ge=0, le=1)
    """How far the water rises."""

    moon: Literal["new", "full"] = "new"
    """What pulls at it."""


class Tide(GRU):
    """A network that comes and goes."""

    name = "tide"
    Config = TideConfig
