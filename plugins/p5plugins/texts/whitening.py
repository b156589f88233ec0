"""Turning and scaling vectors until their coordinates are uncorrelated and of equal variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Whitening", "fit_whitening", "unit_rows"]

ROWS_FITTED = 100_000
"""Rows by which the variances are measured, evenly spaced among all."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Whitening:
    """x ↦ (x − mean) rotation (Su et al., arXiv 2103.15316)."""

    mean: Floats
    """(d,)"""

    rotation: Floats
    """(d, k) directions, that of the largest variance first; each divided by its standard deviation, if scaled"""

    def apply(self, vectors: Floats) -> Floats:
        """(N, d) → (N, k)."""
        return np.asarray((vectors - self.mean) @ self.rotation, dtype=np.float32)


def fit_whitening(vectors: Floats, dimension: int, *, scaled: bool = True) -> Whitening:
    """Whitening of the rows (N, d) into at most `dimension` coordinates; only turned, without `scaled`.

    The variances of few rows are not known well: the mean variance is added to each by the share d / N, so that less
    than d rows are hardly scaled. Rows that are all equal become zero: they tell nothing apart.
    """
    vectors = vectors[:: -(-len(vectors) // ROWS_FITTED)]
    mean: Floats = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    covariance = np.cov(vectors.T.astype(np.float64), bias=True).reshape(vectors.shape[1], -1)
    variances, directions = np.linalg.eigh(covariance)
    order = np.argsort(-variances, kind="stable")[:dimension]
    spread = np.maximum(variances[order], 0.0) + variances.mean() * vectors.shape[1] / len(vectors)
    scale = np.sqrt(spread) if scaled and variances.max() > 0 else np.ones(len(order))
    return Whitening(mean, (directions[:, order] / scale).astype(np.float32))


def unit_rows(vectors: Floats) -> Floats:
    """The rows scaled to length 1; zero rows stay zero."""
    squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)  # of large numbers they are beyond float32
    lengths = np.maximum(np.sqrt(squares), np.finfo(np.float32).tiny).astype(np.float32)
    return np.asarray(vectors / lengths[:, None], dtype=np.float32)
