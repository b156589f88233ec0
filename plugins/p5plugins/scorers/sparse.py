"""Operations on sparse tables of items."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

__all__ = ["row_numbers", "strongest"]


def strongest(block: csr_array, first: int, n: int) -> csr_array:
    """Keep the `n` largest positive entries of each row, those of the item itself left out; equal ones by lower code.

    The rows of `block` are the items from `first` on.
    """
    rows = row_numbers(block)
    order = np.lexsort((block.indices, -block.data, rows))
    order = order[(block.indices != first + rows)[order] & (block.data[order] > 0)]
    sizes = np.bincount(rows[order], minlength=block.shape[0])
    nth = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = order[nth < n]
    return csr_array((block.data[kept], (rows[kept], block.indices[kept])), shape=block.shape)


def row_numbers(table: csr_array) -> npt.NDArray[np.int64]:
    """The row of each stored entry."""
    return np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
