"""The blend in the graph: `p5core.model.blend.Blend` in operations of ONNX.

A history reaches a few thousand items, however large the catalogue is; logarithms and weights of a scorer are computed
for those alone. All others have the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from p5core.contracts.scorer import ItemNeighbours
from p5core.errors import ExportError
from p5core.model.blend import FLOOR, Blend
from p5export.graph.operations import Ops

__all__ = ["BlendGraph", "exported_scorers"]


def exported_scorers(blend: Blend) -> list[tuple[float, ItemNeighbours]]:
    """The scorers that have a weight, as item-item models; raises ExportError for one that is none."""
    exported = []
    for scorer, weight in zip(blend.scorers, blend.weights[1:], strict=True):
        if weight > 0:
            model = scorer.export()
            if model is None:
                raise ExportError(
                    f"The scorer '{scorer.name}' of the blend has no exported form, so this run cannot be exported. "
                    "Train with a blend of item-item scorers."
                )
            exported.append((weight, model))
    return exported


@dataclass(frozen=True)
class _Reached:
    """The N neighbours of the items of each history."""

    weight: float
    codes: ir.Value
    """(B, N) int32, some several times"""
    shares: ir.Value
    """(B, N) share of each in its row's weights"""


class BlendGraph:
    """Blended scores for the histories of one request."""

    def __init__(self, ops: Ops, blend: Blend, items: ir.Value, lengths: ir.Value, max_length: int) -> None:
        """`items` (B, T) are right-padded histories of `lengths` (B, 1)."""
        self._network_weight = blend.weights[0]
        width = ops("Squeeze", ops("Shape", items, start=1, end=2))
        ages = ops("Sub", ops("Sub", lengths, 1), ops("Range", np.array(0), width, np.array(1)))  # (B, T), -1 padding
        self._reached: Sequence[_Reached] = [
            _reached(ops, f"blend_{nth}", weight, model, items, ages, max_length)
            for nth, (weight, model) in enumerate(exported_scorers(blend))
        ]

    def scores(self, ops: Ops, network: ir.Value) -> ir.Value:
        """(B, V) scores of the network and of the scorers as one."""
        blended = ops("LogSoftmax", network, axis=1)
        if self._network_weight != 1:
            blended = ops("Mul", blended, _floats(self._network_weight))
        for reached in self._reached:
            blended = _added(ops, blended, reached)
        return blended


def _reached(
    ops: Ops, name: str, weight: float, model: ItemNeighbours, items: ir.Value, ages: ir.Value, max_length: int
) -> _Reached:
    decay = np.zeros(max_length + 1, dtype=np.float32)  # the last one is for padding
    n_read = min(max_length, len(model.age_weights))
    decay[:n_read] = model.age_weights[:n_read]
    table = ops.constant(decay, f"{name}_age_weights")
    of_age = ops("Gather", table, ops("Where", ops("Less", ages, 0), max_length, ages))
    weights = ops.constant(model.weights, f"{name}_weights")
    neighbours = ops.constant(model.neighbours, f"{name}_neighbours")
    flat = np.array([0, -1])
    values = ops("Mul", ops("Gather", weights, items), ops("Unsqueeze", of_age, 2))  # (B, T, M)
    values, codes = ops("Reshape", values, flat), ops("Reshape", ops("Gather", neighbours, items), flat)
    if (model.weights < 0).any():
        values, total = _positive_sums(ops, values, codes, ops("Shape", items, start=0, end=1), len(model.neighbours))
    else:
        total = ops("ReduceSum", values, 1, keepdims=1)
    return _Reached(weight, codes, ops("Div", values, ops("Max", total, _floats(float(np.finfo(np.float32).tiny)))))


def _positive_sums(
    ops: Ops, values: ir.Value, codes: ir.Value, n_rows: ir.Value, n_items: int
) -> tuple[ir.Value, ir.Value]:
    """For weights of both signs: (B, N) positive sums of items, shared by their places, and (B, 1) the sum of all."""
    blank = ops("Expand", _floats(0.0), ops("Concat", n_rows, np.array([n_items]), axis=0))
    sums = ops("Relu", ops("ScatterElements", blank, codes, values, axis=1, reduction="add"))  # (B, V)
    n_places = ops(
        "ScatterElements", blank, codes, ops("Expand", _floats(1.0), ops("Shape", codes)), axis=1, reduction="add"
    )
    each = ops("Div", ops("GatherElements", sums, codes, axis=1), ops("GatherElements", n_places, codes, axis=1))
    return each, ops("ReduceSum", sums, 1, keepdims=1)


def _added(ops: Ops, blended: ir.Value, scorer: _Reached) -> ir.Value:
    """(B, V) with the logarithms of one scorer's shares added."""
    floors = ops("Expand", _floats(FLOOR), ops("Shape", blended))
    shares = ops("ScatterElements", floors, scorer.codes, scorer.shares, axis=1, reduction="add")
    added = ops("Mul", ops("Log", ops("GatherElements", shares, scorer.codes, axis=1)), _floats(scorer.weight))
    both = ops("Add", ops("GatherElements", blended, scorer.codes, axis=1), added)  # (B, N)
    others = ops("Add", blended, _floats(scorer.weight * np.log(FLOOR)))
    # No share is below the floor, so the maximum takes the sum where there is one, once or several times.
    return ops("ScatterElements", others, scorer.codes, both, axis=1, reduction="max")


def _floats(values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)
