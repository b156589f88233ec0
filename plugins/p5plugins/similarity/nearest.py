"""The nearest rows of a dense table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

from p5plugins.similarity.sparse import ROWS_AT_ONCE, strongest

__all__ = ["MOST_ITEMS", "nearest"]

MOST_ITEMS = 200_000
"""Rows that are compared with one another: about ten minutes of two cores, for vectors of 256."""


def nearest(vectors: npt.NDArray[np.float32], n: int) -> csr_array:
    """(V, V) the `n` largest positive products of each row (d,) with the others; equal ones by lower code."""
    blocks = []
    for first in range(0, len(vectors), ROWS_AT_ONCE):
        products = vectors[first : first + ROWS_AT_ONCE] @ vectors.T  # (rows, V)
        if products.shape[1] > 2 * n:
            products[products < -np.partition(-products, n, axis=1)[:, n, None]] = 0  # one more: the item itself
        blocks.append(strongest(csr_array(products), first, n))
    return csr_array(vstack(blocks, format="csr"), dtype=np.float32)
