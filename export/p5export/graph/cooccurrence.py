"""The item memory in the graph: what `p5core.model.cooccurrence.Memory` computes, in operations of ONNX.

A history reaches a few thousand items, however large the catalogue is; logarithms and weights are computed for those
alone. Of the others the memory knows the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from p5core.model.cooccurrence import FLOOR, Memory
from p5export.graph.operations import Ops

__all__ = ["Reached", "mixed", "reached"]


@dataclass(frozen=True)
class Reached:
    """The N neighbours of the items of each history."""

    codes: ir.Value
    """(B, N) int32, some several times"""
    shares: ir.Value
    """(B, N) what each has of its row's similarities"""


def reached(ops: Ops, memory: Memory, items: ir.Value, lengths: ir.Value, max_length: int) -> Reached:
    """What histories `items` (B, T), right-padded, of `lengths` (B, 1) reach."""
    width = ops("Squeeze", ops("Shape", items, start=1, end=2))
    ages = ops("Sub", ops("Sub", lengths, 1), ops("Range", np.array(0), width, np.array(1)))  # (B, T), -1 at padding
    decay = np.where(
        np.arange(max_length) < memory.config.n_recent, memory.counting.recency ** np.arange(max_length), 0.0
    )
    table = ops.constant(_floats(np.append(decay, 0.0)), "memory_decay")  # the last one is for padding
    weights = ops("Gather", table, ops("Where", ops("Less", ages, 0), max_length, ages))
    similarity = ops.constant(memory.similarity.cpu().numpy(), "memory_similarity")
    neighbours = ops.constant(memory.neighbours.cpu().numpy(), "memory_neighbours")
    flat = np.array([0, -1])
    values = ops("Mul", ops("Gather", similarity, items), ops("Unsqueeze", weights, 2))  # (B, T, M)
    values = ops("Reshape", values, flat)
    total = ops("Max", ops("ReduceSum", values, 1, keepdims=1), _floats(float(np.finfo(np.float32).tiny)))
    return Reached(ops("Reshape", ops("Gather", neighbours, items), flat), ops("Div", values, total))


def mixed(ops: Ops, memory: Memory, network: ir.Value, found: Reached) -> ir.Value:
    """(B, V) scores of the network and of the memory as one."""
    of_network, of_memory = memory.mixture.cpu().tolist()
    learnt = ops("LogSoftmax", network, axis=1)
    if of_network != 1:
        learnt = ops("Mul", learnt, _floats(of_network))
    floors = ops("Expand", _floats(FLOOR), ops("Shape", network))
    shares = ops("ScatterElements", floors, found.codes, found.shares, axis=1, reduction="add")
    remembered = ops("Mul", ops("Log", ops("GatherElements", shares, found.codes, axis=1)), _floats(of_memory))
    both = ops("Add", ops("GatherElements", learnt, found.codes, axis=1), remembered)  # (B, N)
    others = ops("Add", learnt, _floats(of_memory * np.log(FLOOR)))
    # No share is below the floor, so the maximum takes the sum where there is one, once or several times.
    return ops("ScatterElements", others, found.codes, both, axis=1, reduction="max")


def _floats(values: float | np.ndarray) -> np.ndarray:
    return np.array(values, dtype=np.float32)
