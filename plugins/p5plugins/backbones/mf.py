"""Matrix factorisation."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field
from torch import Tensor

from p5core.config.base import Config, Tunable
from p5core.contracts.backbone import Backbone
from p5core.model.dropout import Dropout

__all__ = ["MF", "MFConfig"]


class MFConfig(Config):
    """Options of matrix factorisation."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.0, ge=0, lt=1)
    """Dropout probability of the user vector."""


class MF(Backbone):
    """Matrix factorisation: the user's vector, no history (Koren et al., Computer 42(8), 2009)."""

    name = "mf"
    Config = MFConfig
    causal = True
    uses_history = False

    def __init__(self, config: MFConfig, width: int, max_length: int) -> None:
        super().__init__(config, width, max_length)
        self.dropout = Dropout(config.dropout)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Return the user's vector at each position."""
        return cast("Tensor", self.dropout(vectors))
