"""Random changes of histories that leave what somebody likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["AUGMENTATIONS", "Augmentation", "augmented"]

Augmentation = Literal["crop", "drop", "reorder"]

Items = npt.NDArray[np.int32]


def augmented(items: Items, name: str, share: float, rng: np.random.Generator) -> Items:
    """A history (L,) changed in about this share of its items; one item stays at least."""
    n = min(len(items) - 1, max(1, round(share * len(items)))) if len(items) > 1 else 0
    return AUGMENTATIONS[name](items, n, rng) if n else items


def _cropped(items: Items, n: int, rng: np.random.Generator) -> Items:
    """A contiguous part, `n` items shorter."""
    start = int(rng.integers(n + 1))
    return items[start : start + len(items) - n]


def _dropped(items: Items, n: int, rng: np.random.Generator) -> Items:
    """Without `n` items: masking, for backbones without a mask."""
    return np.delete(items, rng.choice(len(items), n, replace=False))


def _reordered(items: Items, n: int, rng: np.random.Generator) -> Items:
    """With `n` + 1 neighbouring items in another order."""
    start = int(rng.integers(len(items) - n))
    changed = items.copy()
    changed[start : start + n + 1] = rng.permutation(items[start : start + n + 1])
    return changed


AUGMENTATIONS: Mapping[str, Callable[[Items, int, np.random.Generator], Items]] = {
    "crop": _cropped,
    "drop": _dropped,
    "reorder": _reordered,
}
"""Name → change of `n` of the items of a history."""
