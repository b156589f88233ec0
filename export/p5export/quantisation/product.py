"""Product quantisation of item vectors: one byte for several entries.

A vector is cut into S pieces, and each piece is replaced by the nearest of 256 centroids, found by k-means among the
pieces at its place (Jégou et al., 2011, doi 10.1109/TPAMI.2010.57; for recommenders RecJPQ, arXiv 2312.06165). Before,
the vectors are turned so that every piece has about the same share of their variance (as OPQ does, doi
10.1109/TPAMI.2013.240): dot products stay as they are, and fewer of them are lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from p5core.errors import ExportError

__all__ = ["N_CENTROIDS", "Product"]

N_CENTROIDS = 256
ENTRIES_A_BYTE = 4
"""Vector entries per byte when the number of subvectors is not given."""

SAMPLE = 32_768
"""Vectors that the centroids are learnt from, at most."""

N_ROUNDS = 12
BLOCK = 4_096

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Product:
    """V vectors of width D as codes of S centroids each."""

    basis: Floats
    """(D, S · W) orthonormal rows: what turns a vector before it is cut into pieces of width W"""

    centroids: Floats
    """(S, 256, W)"""

    codes: npt.NDArray[np.uint8]
    """(V, S)"""

    @classmethod
    def fit(cls, rows: Floats, n_pieces: int | None = None) -> Product:
        """Learn codes for `rows` (V, D), the same each time.

        Raises ExportError for a number of pieces that cannot be.
        """
        width = rows.shape[1]
        n_pieces = max(1, width // ENTRIES_A_BYTE) if n_pieces is None else n_pieces
        if not 1 <= n_pieces <= width:
            raise ExportError(f"Vectors of {width} entries cannot be cut into {n_pieces} pieces; choose 1 to {width}.")
        rng = np.random.default_rng(0)
        sample = rows[rng.choice(len(rows), SAMPLE, replace=False)] if len(rows) > SAMPLE else rows
        basis = _basis(sample, n_pieces)
        pieces = _pieces(sample @ basis, n_pieces)
        centroids = np.stack([_centroids(piece, rng) for piece in pieces])
        nearest = [_nearest(piece, own) for piece, own in zip(_pieces(rows @ basis, n_pieces), centroids, strict=True)]
        return cls(basis, centroids, np.stack(nearest, axis=1).astype(np.uint8))

    def only(self, places: npt.NDArray[np.int64]) -> Product:
        """The vectors at `places` alone."""
        return replace(self, codes=self.codes[places])

    def rows(self) -> Floats:
        """(V, D) the vectors that the codes stand for."""
        pieces = self.centroids[np.arange(len(self.centroids)), self.codes]  # (V, S, W)
        rows: Floats = pieces.reshape(len(self.codes), -1) @ self.basis.T
        return rows


def _basis(rows: Floats, n_pieces: int) -> Floats:
    """Principal directions, dealt to the pieces to and fro, the widest first; zeros where S does not divide D."""
    moments = rows.T.astype(np.float64) @ rows
    directions = np.linalg.eigh(moments)[1][:, ::-1].astype(np.float32)
    width = -(-len(directions) // n_pieces)
    directions = np.pad(directions, ((0, 0), (0, width * n_pieces - len(directions))))
    dealt = np.arange(width * n_pieces).reshape(width, n_pieces)
    dealt[1::2] = dealt[1::2, ::-1]
    return np.ascontiguousarray(directions[:, dealt.T.ravel()])


def _pieces(turned: Floats, n_pieces: int) -> list[Floats]:
    """S arrays (V, W)."""
    return [np.ascontiguousarray(piece) for piece in np.split(turned, n_pieces, axis=1)]


def _centroids(piece: Floats, rng: np.random.Generator) -> Floats:
    """(256, W) by k-means (Lloyd); of fewer vectors each is its own, and the rest is zero."""
    if len(piece) <= N_CENTROIDS:
        return np.pad(piece, ((0, N_CENTROIDS - len(piece)), (0, 0)))
    centroids = piece[rng.choice(len(piece), N_CENTROIDS, replace=False)]
    for _ in range(N_ROUNDS):
        codes = _nearest(piece, centroids)
        counts = np.bincount(codes, minlength=N_CENTROIDS)[:, None]
        sums = np.stack([np.bincount(codes, column, N_CENTROIDS) for column in piece.T], axis=1)
        # A centroid that nothing is near to starts again at some vector.
        spare = piece[rng.choice(len(piece), N_CENTROIDS, replace=False)]
        centroids = np.where(counts > 0, sums / np.maximum(counts, 1), spare).astype(np.float32)
    return centroids


def _nearest(piece: Floats, centroids: Floats) -> npt.NDArray[np.int64]:
    """(V,) the nearest centroid of each, the first of equally near ones."""
    offsets = (centroids**2).sum(axis=1) / 2
    blocks = np.split(piece, range(BLOCK, len(piece), BLOCK))
    return np.concatenate([(offsets - block @ centroids.T).argmin(axis=1) for block in blocks])
