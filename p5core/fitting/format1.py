"""Reading runs of P5 0.1, whose folders have format 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from p5core.config.base import PartSpec
from p5core.config.upgrade import COOCCURRENCE
from p5core.model.blend import Blend
from p5core.plugins.registry import Registry
from p5core.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from p5core.data.dataset import Events

__all__ = ["read_blend_1", "upgrade_weights"]

RENAMED = {
    "table.": "items.",
    "user_vectors.": "users.encoders.0.embedding.",
    "rating_head.": "tasks.rating.",
}
"""Beginnings of the names of weights: then and now."""

MEMORY = "memory."
"""Beginning of the names of the co-occurrence counts, which lay among the weights."""

COUNTED_BY = ("window", "distance_decay", "backward", "damping", "source_damping", "recency", "content_pairs")
"""Options whose chosen values `memory.counted_by` holds."""


def upgrade_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of this version; those of this version stay as they are."""
    renamed = {}
    for name, value in weights.items():
        if not name.startswith(MEMORY):
            old = next((prefix for prefix in RENAMED if name.startswith(prefix)), "")
            renamed[RENAMED.get(old, "") + name.removeprefix(old)] = value
    return renamed


def read_blend_1(run: Run, registry: Registry, train: Events) -> Blend | None:
    """The blend of a run of format 1, if it has one."""
    from safetensors.numpy import load_file

    weights = load_file(run.weights)
    if f"{MEMORY}mixture" not in weights:
        return None
    neighbours, similarity = weights[f"{MEMORY}neighbours"], weights[f"{MEMORY}similarity"]  # (V, M)
    is_kept = similarity > 0
    counts = np.bincount(train.items, minlength=len(neighbours))
    chosen = dict(zip(COUNTED_BY, weights[f"{MEMORY}counted_by"].tolist(), strict=True))
    spec = next(scorer for scorer in run.experiment().model.blend if scorer.name == COOCCURRENCE)
    options = {**spec.options, **chosen, "window": round(chosen["window"])}
    scorer = registry.choose("scorer", PartSpec.model_validate({"name": COOCCURRENCE, **options})).build()
    scorer.restore(
        {
            "indptr": np.concatenate([[0], np.cumsum(is_kept.sum(axis=1))]),
            "indices": neighbours[is_kept],
            "data": similarity[is_kept],
            "popularity": (counts / max(1, counts.max(initial=0))).astype(np.float32),
        }
    )
    return Blend([scorer], tuple(weights[f"{MEMORY}mixture"].tolist()))
