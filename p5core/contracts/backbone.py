"""The contract of backbones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from p5core.contracts.part import Part

__all__ = ["Backbone", "select_states"]


class Backbone(Part, nn.Module, ABC):
    """Maps the vectors of a history to states: (B, T, D) → (B, T, D), and nothing else.

    The core owns item vectors, the output head, padding and the filter of seen items; so every backbone works with
    every task that suits the positions that it sees.
    """

    causal: ClassVar[bool]
    """True when the state at position t depends on positions ≤ t alone; False when it sees the whole history."""

    uses_history: ClassVar[bool] = True
    """False when the input is the vector of the user, repeated at each position, instead of the items."""

    reads_order: ClassVar[bool] = True
    """False when the states of a history are the same in whatever order its items stand."""

    def __init__(self, config: Any, width: int, max_length: int) -> None:
        """Build for vectors of `width` D and at most `max_length` positions; `setup` makes the layers."""
        nn.Module.__init__(self)
        Part.__init__(self, config)
        self.width = width
        self.max_length = max_length
        self.setup()

    def setup(self) -> None:
        """Make the layers; `config`, `width` and `max_length` are known."""

    @abstractmethod
    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Compute states (B, T, D) from `vectors` (B, T, D), right-padded; `real` (B, T) bool is False at padding.

        States at padding are never read; they must be finite and must not change the states of real positions.
        """

    def state_at(self, vectors: Tensor, real: Tensor, places: Tensor) -> Tensor:
        """(B, D) the states at `places` (B,) alone, each the last real position of its row; else as `forward`.

        Serving asks for these. Override it where one state costs less than all of them.
        """
        return select_states(self(vectors, real), places)


def select_states(states: Tensor, places: Tensor) -> Tensor:
    """(B, D) the states (B, T, D) at `places` (B,)."""
    return states.gather(1, places[:, None, None].expand(-1, 1, states.shape[-1])).squeeze(1)
