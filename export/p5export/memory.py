"""The item memory in the graph: what `p5core.model.memory.Memory` computes, in operations of ONNX."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from p5core.model.memory import FLOOR, Memory
from p5export.ops import Ops

__all__ = ["mixed", "remembered"]


def remembered(ops: Ops, memory: Memory, items: ir.Value, lengths: ir.Value, max_length: int) -> ir.Value:
    """(B, V) summed similarities for histories `items` (B, T), right-padded, of `lengths` (B, 1)."""
    n_items = len(memory.neighbours)
    width = ops("Squeeze", ops("Shape", items, start=1, end=2))
    ages = ops("Sub", ops("Sub", lengths, 1), ops("Range", np.array(0), width, np.array(1)))  # (B, T), -1 at padding
    decay = np.where(
        np.arange(max_length) < memory.config.n_recent, memory.counting.recency ** np.arange(max_length), 0.0
    )
    table = ops.constant(np.append(decay, 0.0).astype(np.float32), "memory_decay")  # the last one is for padding
    weights = ops("Gather", table, ops("Where", ops("Less", ages, 0), max_length, ages))
    similarity = ops.constant(memory.similarity.cpu().numpy(), "memory_similarity")
    neighbours = ops.constant(memory.neighbours.cpu().numpy(), "memory_neighbours")
    values = ops("Mul", ops("Gather", similarity, items), ops("Unsqueeze", weights, 2))  # (B, T, M)
    codes = ops("Cast", ops("Gather", neighbours, items), to=ir.DataType.INT64.value)
    flat = np.array([0, -1])  # (B, T · M)
    shape = ops("Concat", ops("Shape", items, start=0, end=1), n_items, axis=0)
    blank = ops("Expand", np.array(0, dtype=np.float32), shape)
    return ops(
        "ScatterElements", blank, ops("Reshape", codes, flat), ops("Reshape", values, flat), axis=1, reduction="add"
    )


def mixed(ops: Ops, memory: Memory, network: ir.Value, scores: ir.Value) -> ir.Value:
    """(B, V) scores of the network and of the memory as one."""
    of_network, of_memory = memory.mixture.cpu().numpy()
    tiny, floor = (np.array(one, dtype=np.float32) for one in (np.finfo(np.float32).tiny, FLOOR))
    share = ops("Div", scores, ops("Max", ops("ReduceSum", scores, 1, keepdims=1), tiny))
    learnt = ops("Mul", ops("LogSoftmax", network, axis=1), np.array(of_network))
    return ops("Add", learnt, ops("Mul", ops("Log", ops("Add", share, floor)), np.array(of_memory)))
