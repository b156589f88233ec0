"""Vectors of a batch as the candidates of a ranking loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from p5core.contracts.loss import Candidates

__all__ = ["BatchCandidates"]


class BatchCandidates:
    """Candidates that a batch holds, all equally frequent."""

    def __init__(self, rows: Tensor) -> None:
        """`rows` (N, D) are their vectors."""
        self._rows = rows

    @property
    def n_items(self) -> int:
        """Number of candidates, N."""
        return len(self._rows)

    @property
    def log_frequency(self) -> Tensor:
        """(N,) equal shares."""
        return torch.full((len(self._rows),), -float(np.log(len(self._rows))), device=self._rows.device)

    def vectors(self, codes: Tensor | None = None) -> Tensor:
        """(n, D) vectors of the candidates `codes` (n,), or (N, D) of all."""
        return self._rows if codes is None else self._rows[codes]

    def domains(self) -> Sequence[tuple[Tensor, Candidates]]:
        """None: a batch has one domain."""
        return ()
