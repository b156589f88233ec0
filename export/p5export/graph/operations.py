"""Writes operations into an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

__all__ = ["Ops"]

Array = np.ndarray[Any, np.dtype[Any]]
Input = ir.Value | int | Array


class Ops:
    """Each call adds one operation and returns its output; numbers and arrays among the inputs become constants."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._tape = Tape()
        self._numbers: dict[int, ir.Value] = {}
        self._inlined: list[ir.Node] = []
        self._further: list[ir.Value] = []

    def __call__(self, kind: str, *inputs: Input, domain: str = "", **options: Any) -> ir.Value:
        """Add the operation `kind` with attributes `options`."""
        return self._tape.op(kind, [self._value(value) for value in inputs], options, domain=domain)

    def several(self, kind: str, n: int, *inputs: Input, **options: Any) -> tuple[ir.Value, ...]:
        """Add an operation with `n` outputs."""
        return tuple(self._tape.op_multi_out(kind, [self._value(value) for value in inputs], options, num_outputs=n))

    def constant(self, array: Array, name: str | None = None) -> ir.Value:
        """A constant tensor; an array of objects becomes one of texts."""
        name = name or f"constant_{len(self._tape.initializers)}"
        if array.dtype == object:
            texts = [str(value).encode() for value in array.ravel()]
            return self._tape.initializer(ir.StringTensor(texts, shape=ir.Shape(array.shape), name=name), name)
        return self._tape.initializer(ir.tensor(array, name=name), name)

    def inline(self, model: ir.Model, name: str, inputs: Mapping[str, ir.Value]) -> ir.Value:
        """Add all operations of another graph, their names under `name`; returns its only output."""
        graph = model.clone().graph
        for graph_input in list(graph.inputs):
            ir.convenience.replace_all_uses_with(graph_input, inputs[str(graph_input.name)])
        (output,) = graph.outputs
        graph.outputs.clear()
        for key, value in list(graph.initializers.items()):
            del graph.initializers[key]
            value.name = f"{name}_{key}"
            self._further.append(value)
        nodes = list(graph)
        graph.remove(nodes)
        for node in nodes:
            node.name = f"{name}_{node.name}"
            for value in node.outputs:
                value.name = f"{name}_{value.name}"
        self._inlined += nodes
        return output

    def _value(self, given: Input) -> ir.Value:
        """A plain number is an int64 of shape (1,); equal numbers are one constant."""
        if isinstance(given, ir.Value):
            return given
        if not isinstance(given, int):
            return self.constant(given)
        if given not in self._numbers:
            self._numbers[given] = self.constant(np.array([given]))
        return self._numbers[given]

    def finish(self) -> None:
        """Put everything that was added into the graph, in an order in which it can be computed."""
        for value in (*self._tape.initializers, *self._further):
            self._graph.register_initializer(value)
        self._graph.extend([*self._tape.nodes, *self._inlined])
        self._graph.sort()
