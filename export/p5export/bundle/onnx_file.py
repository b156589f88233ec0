"""Deterministic ONNX files without traces of the machine."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from p5core.errors import ExportError

__all__ = ["IR_VERSION", "write_model"]

IR_VERSION = 10
SINGLE_FILE_LIMIT = 1_900_000_000
"""Bytes; protobuf refuses 2 GiB."""


def write_model(model: ir.Model, path: Path) -> list[Path]:
    """Write a model, with its weights in `NAME.data` beside it where one file cannot hold them; returns the files.

    Raises ExportError when the checker finds a fault.
    """
    _anonymous(model)
    model.ir_version = IR_VERSION
    used = {value for node in model.graph for value in node.inputs}
    for name, value in list(model.graph.initializers.items()):
        if value not in used:
            del model.graph.initializers[name]
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    data = path.with_suffix(".onnx.data") if size > SINGLE_FILE_LIMIT else None
    if data is None:
        path.write_bytes(ir.to_proto(model).SerializeToString(deterministic=True))
    else:
        ir.save(model, path, external_data=data.name)
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:
        raise ExportError(f"The ONNX checker refuses {path.name}: {error}") from error
    return [path] if data is None else [path, data]


def _anonymous(model: ir.Model) -> None:
    """Drop what tells about the machine: traces, doc strings, paths; number the values that have no meaning."""
    model.producer_name, model.producer_version, model.doc_string, model.domain = "P5", "", "", ""
    model.metadata_props.clear()
    graph = model.graph
    graph.metadata_props.clear()
    graph.doc_string = None
    kept = {value.name for value in (*graph.inputs, *graph.outputs, *graph.initializers.values())}
    for number, node in enumerate(graph):
        node.metadata_props.clear()
        node.doc_string, node.name = None, f"{node.op_type}_{number}"
        for place, value in enumerate(node.outputs):
            value.metadata_props.clear()
            if value.name not in kept:
                value.name = f"v{number}_{place}" if place else f"v{number}"
    for value in (*graph.inputs, *graph.outputs, *graph.initializers.values()):
        value.metadata_props.clear()
        value.doc_string = None
