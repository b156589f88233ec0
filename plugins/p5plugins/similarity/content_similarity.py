"""Similarity of items by their content."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array, diags_array, vstack

from p5core.data.catalogue import Catalogue
from p5core.data.columns import TITLE
from p5core.errors import ConfigError, did_you_mean
from p5plugins.similarity.sparse import row_blocks, row_numbers, strongest

__all__ = ["content_columns", "content_neighbours", "content_similarity"]

N_ALIKE = 100
"""Number of similar items kept per item."""

SHARPNESS = 2
"""Power of the cosine: what is half as alike counts a quarter."""

PAIRS_AT_MOST = 200_000_000
"""Pairs of items with a value in common that are looked at: the commonest values are left out beyond."""

WORD = re.compile(r"\w+")


def content_columns(
    catalogue: Catalogue, names: Sequence[str] | None, place: str = "scorer cooccurrence, content"
) -> list[str]:
    """The columns that say which items are alike: those wanted, or all that hold no numbers.

    Raises ConfigError for one that the items table has not.
    """
    available = [*([TITLE] if TITLE in catalogue.frame else []), *catalogue.features]
    if names is None:
        return [name for name in available if catalogue.frame[name].dtype.kind not in "iufbM"]
    for name in names:
        if name not in available:
            listed = f"Found: {', '.join(available)}." if available else "There are none: load an items table."
            raise ConfigError(f"{place}: items have no column '{name}'.{did_you_mean(name, available)} {listed}")
    return list(names)


def content_similarity(catalogue: Catalogue, names: Sequence[str] | None) -> csr_array | None:
    """(V, V) row i holds the items most alike item i and sums to 1, or is empty; None where nothing is known of any.

    Items are alike by their cosine, squared.
    """
    similarity = content_neighbours(catalogue, content_columns(catalogue, names), N_ALIKE)
    similarity.data **= SHARPNESS
    similarity.data /= np.maximum(similarity.sum(axis=1), np.finfo(np.float32).tiny)[row_numbers(similarity)]
    return similarity if similarity.nnz else None


def content_neighbours(catalogue: Catalogue, columns: Sequence[str], n: int) -> csr_array:
    """(V, V) float32 the cosines of each item with the `n` items most alike it.

    Items are sets of values weighted by their rarity (the words of a text, the values of a list; tf-idf: Salton and
    Buckley, doi 10.1016/0306-4573(88)90021-0). A value that so many items share that not all pairs of them can be
    looked at is left out, as are values that all items have.
    """
    values = _values(catalogue, columns)
    blocks = [strongest(csr_array(values[first:last] @ values.T), first, n) for first, last in row_blocks(values)]
    return csr_array(vstack(blocks, format="csr"))


def _values(catalogue: Catalogue, columns: Sequence[str]) -> csr_array:
    """(V, n_values) float32 weights of the values of each item, every row of length 1 or empty."""
    items: list[int] = []
    labels: list[str] = []
    for name in columns:
        for item, cell in enumerate(catalogue.frame[name].tolist()):
            values = {f"{name}={value}" for value in _split(cell)}
            items += [item] * len(values)
            labels += sorted(values)
    codes, names = pd.factorize(np.array(labels, dtype=object))
    shape = (len(catalogue), len(names))
    held = csr_array((np.ones(len(items), dtype=np.float32), (items, codes)), shape=shape)
    n_holders = np.bincount(codes, minlength=len(names))
    weights = np.where(_kept(n_holders), np.log(len(catalogue) / np.maximum(n_holders, 1)), 0.0)
    weighted = csr_array(held @ diags_array(weights.astype(np.float32)))
    weighted.eliminate_zeros()
    lengths = np.sqrt(weighted.power(2).sum(axis=1))
    return csr_array(diags_array((1 / np.maximum(lengths, 1e-9)).astype(np.float32)) @ weighted)


def _kept(n_holders: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(n_values,) whether a value may be looked at: the rarest first, as long as pairs are left."""
    order = np.argsort(n_holders, kind="stable")
    kept = np.empty(len(n_holders), dtype=np.bool_)
    kept[order] = np.cumsum(n_holders[order].astype(np.float64) ** 2) <= PAIRS_AT_MOST
    return kept


def _split(cell: Any) -> Iterator[str]:
    """The values of a cell, as text: of a text its words in lower case."""
    if isinstance(cell, str):
        yield from WORD.findall(cell.lower())
    elif isinstance(cell, Iterable):
        yield from (str(part).lower() for part in cell)
    elif not pd.isna(cell):
        yield str(cell)
