"""From a network to the graph of its states, without encoders: item vectors are baked in."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from p5core.contracts.task import Task
from p5core.errors import ExportError
from p5core.model.item_embeddings import ItemEmbeddings
from p5core.model.network import Network
from p5export.graph.serving import Prediction, Serving

__all__ = ["OPSET", "VECTORS", "export_prediction", "export_states"]

OPSET = 20
VECTORS = "item_vectors"
"""Name of the (V, D) table that the traced graph looks items up in."""

TORCH_FOR_LOOPS = "2.13"
"""The release of torch from which recurrent layers are exported for histories of any length."""

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
    network.tasks.clear()
    network.items = cast("ItemEmbeddings", _Baked(torch.from_numpy(serving.vectors)))
    model = _trace_histories(network, serving.max_length) if serving.uses_history else _trace_users(network)
    if serving.uses_history:
        _name_table(model, serving.vectors)
    return model


def _trace_histories(network: Network, max_length: int) -> ir.Model:
    length = min(3, max_length)
    example = (torch.zeros(3, length, dtype=torch.int64), torch.tensor([1, length, 0]))
    shapes = {"items": {0: DYNAMIC, 1: DYNAMIC}, "lengths": {0: DYNAMIC}}
    return _traced(_backbone(network), _Histories(network), example, shapes)


def _trace_users(network: Network) -> ir.Model:
    return _traced(_backbone(network), _Users(network), (torch.tensor([0, 0, -1]),), {"users": {0: DYNAMIC}})


def _traced(what: str, module: nn.Module, example: tuple[Tensor, ...], shapes: dict[str, dict[int, Any]]) -> ir.Model:
    # While it traces, torch.onnx swaps the kernels of recurrent layers for loops of any length; torch 2.13 remembers
    # the kernel it found in an earlier trace of the process, and would freeze the length in this one.
    for layer in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        layer._dispatch_cache.clear()
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module.eval(),
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(shapes),
                output_names=["result"],
                dynamic_shapes=shapes,
                verbose=False,
            )
        except Exception as error:  # torch raises many kinds, with hundreds of lines
            raise ExportError(_untraceable(what, module, error)) from None
    if program is None:
        raise ExportError("torch.onnx.export returned nothing.")
    return program.model


def _backbone(network: Network) -> str:
    return f"backbone '{network.backbone.name}'"


def _untraceable(what: str, module: nn.Module, error: Exception) -> str:
    """An error message for a module that torch cannot trace."""
    if any(isinstance(child, nn.RNNBase) for child in module.modules()) and torch.__version__ < TORCH_FOR_LOOPS:
        return (
            f"The {what} is recurrent, which torch exports from {TORCH_FOR_LOOPS} on; {torch.__version__} is installed."
        )
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return (
        f"The {what} cannot be exported: {lines[0] if lines else type(cause).__name__}. The control flow "
        "of an exported module must not depend on tensor values, and its operations must exist in ONNX."
    )


class _Head(nn.Module):
    """(N, D) states, (N, D) item vectors, (N,) user and item codes → (N,) predictions of a task."""

    def __init__(self, task: Task, layers: nn.Module, output: str) -> None:
        super().__init__()
        self.layers = layers
        self._task, self._output = task, output

    def forward(self, states: Tensor, vectors: Tensor, users: Tensor, items: Tensor) -> Tensor:
        return self._task.predict(self.layers, self._output, states, vectors, users, items)


def export_prediction(serving: Serving, prediction: Prediction) -> ir.Model:
    """Trace what a task predicts; inputs are `states`, `vectors`, `users` and `items`."""
    layers = copy.deepcopy(serving.network.task_layers[prediction.task.name]).cpu().eval()
    width = serving.vectors.shape[1]
    # Each input is a tensor of its own: one that is given twice would be traced as one input.
    codes = [torch.tensor([0, -1, 0]) for _ in range(2)]
    example = (torch.zeros(3, width), torch.ones(3, width), *codes)
    shapes = {name: {0: DYNAMIC} for name in ("states", "vectors", "users", "items")}
    what = f"task '{prediction.task.name}'"
    return _traced(what, _Head(prediction.task, layers, prediction.name), example, shapes)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the logs and prints of torch while it traces."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


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
