"""p5.json as a typed document; it is checked by this model when it is written.

The runtime reads it without pydantic, by the table `REQUIRED` of `p5export.bundle.bundle`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["DataRecord", "ManifestDocument", "ModelRecord", "ParityRecord", "Tolerance"]

IdKind = Literal["string", "int64"]
TensorType = tuple[str, list[str | int]]
"""Element type and shape; a name is a dimension of any size."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tolerance(_Document):
    """Largest difference of two scores that count as equal."""

    relative: float
    absolute: float


class ParityRecord(_Document):
    """The comparison with the network."""

    cases: int
    largest_difference: float
    users_measured: int
    network: dict[str, float | None]
    exported: dict[str, float | None]


class ModelRecord(_Document):
    """The exported model."""

    backbone: str | None
    """None: a model of scorers alone"""
    encoders: list[str]
    width: int
    parameters: int
    stages: list[str]
    blend: dict[str, Any] | None


class DataRecord(_Document):
    """The training data."""

    loader: str
    users: int
    items: int
    events: int
    sha256: dict[str, str]


class ManifestDocument(_Document):
    """Signature, options, proof, figures and origin of an export, with the hashes of its files."""

    format: int
    p5: str
    run: str
    trained: str
    updated_from: str | None
    refit_of: str | None = None
    opset: int
    ir_version: int
    id_kind: IdKind
    user_kind: IdKind | None = None
    padding: str
    inputs: dict[str, TensorType]
    outputs: dict[str, TensorType]
    score_inputs: dict[str, TensorType]
    score_outputs: dict[str, TensorType]
    predictions: dict[str, Literal["value", "probability"]]
    exclude_seen: bool
    max_length: int
    popular: bool
    quantize: str
    subvectors: int | None
    n_items: int
    n_allowed: int
    n_users: int | None
    examples: list[str]
    user_examples: list[str]
    parity: ParityRecord
    quantized: dict[str, Any] | None
    tolerance: Tolerance
    metrics: dict[str, dict[str, float | None]]
    intervals: dict[str, dict[str, tuple[float, float]]]
    protocol: str
    n_test_users: int
    model: ModelRecord
    data: DataRecord
    plugins: dict[str, str]
    files: dict[str, str]
    seal: str
