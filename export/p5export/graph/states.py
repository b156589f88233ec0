"""From a network to the graph of its states, without encoders: item vectors are baked in."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from p5core.errors import ExportError
from p5core.model.item_embeddings import ItemTable
from p5core.model.network import Network
from p5export.graph.serving import Serving

__all__ = ["OPSET", "VECTORS", "export_states"]

OPSET = 20
VECTORS = "item_vectors"
"""Name of the (V, D) table that the traced graph looks items up in."""

DYNAMIC = torch.export.Dim.DYNAMIC


class _Baked(nn.Module):
    """An item table of finished vectors."""

    rows: Tensor

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)

    def vectors(self, codes: Tensor) -> Tensor:
        return F.embedding(codes, self.rows)


class _Histories(nn.Module):
    """(B, T) item codes and (B,) lengths → (B, D) states."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        return self.network.last_states(torch.full_like(lengths, -1), items, lengths)


class _Users(nn.Module):
    """(B,) user codes → (B, D) states."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, users: Tensor) -> Tensor:
        return self.network.last_states(users, users.new_zeros(len(users), 1), torch.ones_like(users))


def export_states(serving: Serving) -> ir.Model:
    """Trace the states; inputs are `items` and `lengths`, with the table as the initializer VECTORS, or `users`."""
    network = copy.deepcopy(serving.network).cpu().eval()
    network.table = cast("ItemTable", _Baked(torch.from_numpy(serving.vectors)))
    model = _trace_histories(network, serving.max_length) if serving.uses_history else _trace_users(network)
    if serving.uses_history:
        _name_table(model, serving.vectors)
    return model


def _trace_histories(network: Network, max_length: int) -> ir.Model:
    length = min(3, max_length)
    example = (torch.zeros(3, length, dtype=torch.int64), torch.tensor([1, length, 0]))
    shapes = {"items": {0: DYNAMIC, 1: DYNAMIC}, "lengths": {0: DYNAMIC}}
    return _traced(_Histories(network), example, shapes)


def _trace_users(network: Network) -> ir.Model:
    return _traced(_Users(network), (torch.tensor([0, 0, -1]),), {"users": {0: DYNAMIC}})


def _traced(module: nn.Module, example: tuple[Tensor, ...], shapes: dict[str, dict[int, Any]]) -> ir.Model:
    # While it traces, torch.onnx swaps the kernels of recurrent layers for loops of any length; torch 2.13 remembers
    # the kernel it found in an earlier trace of the process, and would freeze the length in this one.
    for layer in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        layer._dispatch_cache.clear()
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(shapes),
            output_names=["states"],
            dynamic_shapes=shapes,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing.")
    return program.model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch tells its own developers while tracing from people."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _name_table(model: ir.Model, rows: npt.NDArray[np.float32]) -> None:
    """Give the table its name among the initializers."""
    initializers = model.graph.initializers
    for name, value in list(initializers.items()):
        tensor = value.const_value
        if tensor is not None and tuple(tensor.shape) == rows.shape and np.array_equal(tensor.numpy(), rows):
            del initializers[name]
            value.name = VECTORS
            initializers[VECTORS] = value
            return
    raise ExportError(
        "The traced network does not look item vectors up; its backbone must read the vectors it is given."
    )
