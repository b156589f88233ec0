"""The table of item vectors in the graph: looked up for histories, multiplied for scores, stored once.

| name | what is stored | what is computed |
| --- | --- | --- |
| none | float32 | float32 |
| fp16 | float16, half the size | float32: ONNX Runtime widens the table once, when it loads |
| weight8 | 8 bits an entry, one scale a row, a quarter of the size | float32 states × 8-bit rows (MatMulNBits) |
| int8 | the same, by columns | states in 8 bits as well (DynamicQuantizeLinear, MatMulInteger) |
| product | a byte for several entries (`p5export.quantisation.product`) | state · centroid, looked up and added |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from p5export.graph.operations import Ops
from p5export.quantisation.product import N_CENTROIDS, Product

__all__ = ["ItemVectors", "item_vectors"]

FLOAT, INT32 = ir.DataType.FLOAT.value, ir.DataType.INT32.value

MIDDLE = 128
"""The code of 0 in eight bits."""


class ItemVectors(ABC):
    """V vectors of width D, float32 outside, however they are stored."""

    def __init__(self, ops: Ops, rows: npt.NDArray[Any]) -> None:
        self.ops = ops
        self.rows = rows

    def only(self, places: npt.NDArray[np.int64]) -> ItemVectors:
        """The vectors at `places` alone, to be scored."""
        return type(self)(self.ops, self.rows[places])

    @abstractmethod
    def look_up(self, codes: ir.Value) -> ir.Value:
        """(…, D) the vectors of `codes` (…), none negative."""

    @abstractmethod
    def scores(self, states: ir.Value) -> ir.Value:
        """(B, V) state · vector of `states` (B, D)."""


class _Float(ItemVectors):
    def __init__(self, ops: Ops, rows: npt.NDArray[np.float32]) -> None:
        super().__init__(ops, rows)
        self.table = self._table()

    def _table(self) -> ir.Value:
        return self.ops.constant(self.rows)

    def look_up(self, codes: ir.Value) -> ir.Value:
        return self.ops("Gather", self.table, codes)

    def scores(self, states: ir.Value) -> ir.Value:
        return self.ops("Gemm", states, self.table, transB=1)


class _Half(_Float):
    def _table(self) -> ir.Value:
        return self.ops("Cast", self.ops.constant(self.rows.astype(np.float16)), to=FLOAT)


class _Weight8(ItemVectors):
    """Rows in blocks of one scale each: x ≈ scale · (code - 128)."""

    def __init__(self, ops: Ops, rows: npt.NDArray[np.float32]) -> None:
        super().__init__(ops, rows)
        self.block = max(16, 1 << (rows.shape[1] - 1).bit_length())
        codes, scale = _eight_bits(rows)
        padded = np.pad(codes, ((0, 0), (0, self.block - rows.shape[1])), constant_values=MIDDLE)
        self.codes = ops.constant(padded[:, None])  # (V, 1, block)
        self.scale = ops.constant(scale)  # (V,)

    def look_up(self, codes: ir.Value) -> ir.Value:
        ops = self.ops
        vectors = ops("Squeeze", ops("Gather", self.codes, ops("Unsqueeze", codes, -1)), np.array([-3, -2]))
        vectors = ops("Slice", vectors, 0, self.rows.shape[1], -1)
        centred = ops("Sub", ops("Cast", vectors, to=FLOAT), np.array(MIDDLE, dtype=np.float32))
        return ops("Mul", centred, ops("Unsqueeze", ops("Gather", self.scale, codes), -1))

    def scores(self, states: ir.Value) -> ir.Value:
        n_rows, width = self.rows.shape
        options = {"K": width, "N": n_rows, "bits": 8, "block_size": self.block, "accuracy_level": 4}
        return self.ops("MatMulNBits", states, self.codes, self.scale, domain="com.microsoft", **options)


class _Int8(ItemVectors):
    """One scale a vector, entries by columns, as MatMulInteger wants them: x ≈ scale · (code - 128).

    Both factors are unsigned: with signed ones ONNX Runtime adds in 16 bits on processors without VNNI, which overflow.
    """

    def __init__(self, ops: Ops, rows: npt.NDArray[np.float32]) -> None:
        super().__init__(ops, rows)
        codes, scale = _eight_bits(rows)
        self.codes = ops.constant(np.ascontiguousarray(codes.T))  # (D, V)
        self.scale = ops.constant(scale)  # (V,)

    def look_up(self, codes: ir.Value) -> ir.Value:
        ops = self.ops
        flat = ops("Reshape", codes, -1)  # (n,)
        looked_up = ops("Cast", ops("Transpose", ops("Gather", self.codes, flat, axis=1), perm=[1, 0]), to=FLOAT)
        centred = ops("Sub", looked_up, np.array(MIDDLE, dtype=np.float32))
        vectors = ops("Mul", centred, ops("Unsqueeze", ops("Gather", self.scale, flat), 1))  # (n, D)
        return ops("Reshape", vectors, ops("Concat", ops("Shape", codes), self.rows.shape[1], axis=0))

    def scores(self, states: ir.Value) -> ir.Value:
        ops = self.ops
        small, scale, zero = ops.several("DynamicQuantizeLinear", 3, states)
        product = ops("MatMulInteger", small, self.codes, zero, np.array(MIDDLE, dtype=np.uint8))
        return ops("Mul", ops("Cast", product, to=FLOAT), ops("Mul", scale, self.scale))


class _Product(ItemVectors):
    """Codes of centroids. No vector is ever put together to be scored."""

    def __init__(self, ops: Ops, product: Product) -> None:
        super().__init__(ops, product.codes)
        self.product = product
        self.codes = ops.constant(product.codes)  # (V, S)
        self.basis = ops.constant(product.basis)  # (D, S · W)
        self.centroids = ops.constant(product.centroids)  # (S, 256, W)

    def only(self, places: npt.NDArray[np.int64]) -> ItemVectors:
        return _Product(self.ops, self.product.only(places))

    def look_up(self, codes: ir.Value) -> ir.Value:
        ops = self.ops
        n_pieces, _, width = self.product.centroids.shape
        firsts = np.arange(0, n_pieces * N_CENTROIDS, N_CENTROIDS, dtype=np.int32)
        places = ops("Add", ops("Cast", ops("Gather", self.codes, codes), to=INT32), firsts)  # (…, S)
        vectors = ops("Gather", ops("Reshape", self.centroids, np.array([-1, width])), places)  # (…, S, W)
        shape = ops("Concat", ops("Shape", codes), n_pieces * width, axis=0)
        return ops("MatMul", ops("Reshape", vectors, shape), ops("Transpose", self.basis, perm=[1, 0]))

    def scores(self, states: ir.Value) -> ir.Value:
        """Two pieces at a time: all sums of two are 65,536, so a large catalogue is read half as often.

        GatherElements reads single numbers several times faster than Gather.
        """
        ops = self.ops
        shape = ops("Concat", ops("Shape", states, start=0, end=1), len(self.rows), axis=0)
        pieces = self._affinities(states)
        total = None
        for first in range(0, len(pieces), 2):
            table, codes = pieces[first], self._column(first)  # (B, 256), (V,)
            if first + 1 < len(pieces):
                sums = ops("Add", ops("Unsqueeze", table, 2), ops("Unsqueeze", pieces[first + 1], 1))
                table = ops("Reshape", sums, np.array([0, N_CENTROIDS**2]))
                codes = ops("Mul", codes, np.array(N_CENTROIDS, dtype=np.int32))
                codes = ops("Add", codes, self._column(first + 1))
            values = ops("GatherElements", table, ops("Expand", codes, shape), axis=1)  # (B, V)
            total = values if total is None else ops("Add", total, values)
        assert total is not None
        return total

    def _affinities(self, states: ir.Value) -> list[ir.Value]:
        """S times (B, 256): each piece of the states · each of its centroids."""
        ops = self.ops
        n_pieces, _, width = self.product.centroids.shape
        turned = ops("Reshape", ops("MatMul", states, self.basis), np.array([0, n_pieces, width]))
        centroids = ops("Transpose", self.centroids, perm=[0, 2, 1])
        products = ops("MatMul", ops("Transpose", turned, perm=[1, 0, 2]), centroids)  # (S, B, 256)
        return [ops("Gather", products, np.array(piece), axis=0) for piece in range(n_pieces)]

    def _column(self, piece: int) -> ir.Value:
        """(V,) int32 codes of one piece, which ONNX Runtime computes once, when it loads."""
        return self.ops("Cast", self.ops("Gather", self.codes, np.array(piece), axis=1), to=INT32)


def _eight_bits(rows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Codes from 1 to 255 (V, D) around MIDDLE and a scale for each row (V,): the largest entry becomes 127 steps."""
    scale = np.abs(rows).max(axis=1) / 127
    steps = np.rint(rows / np.maximum(scale, np.finfo(np.float32).tiny)[:, None])
    return (steps + MIDDLE).astype(np.uint8), scale.astype(np.float32)


BY_ROW: dict[str, type[ItemVectors]] = {"none": _Float, "fp16": _Half, "weight8": _Weight8, "int8": _Int8}


def item_vectors(ops: Ops, rows: npt.NDArray[np.float32] | Product, quantize: str) -> ItemVectors:
    """The table as `quantize` stores it."""
    return _Product(ops, rows) if isinstance(rows, Product) else BY_ROW[quantize](ops, rows)
