"""The manifest of an export, p5.json; hashes are added when every file is there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from p5core.fitting.experiment_data import ExperimentData
from p5core.plugins.registry import Registry
from p5core.runs.documents import Metrics, RunInfo
from p5core.runs.run import Run
from p5core.system.files import sha256
from p5export.bundle.bundle import FORMAT
from p5export.bundle.onnx_file import IR_VERSION
from p5export.graph.serving import Serving
from p5export.graph.states import OPSET
from p5export.quantisation.cost import Cost
from p5export.validation.parity import Parity, Proof
from p5export.validation.verify import EXACT, QUANTIZED

__all__ = ["build_manifest"]


def build_manifest(
    run: Run,
    data: ExperimentData,
    serving: Serving,
    registry: Registry,
    parity: Parity,
    proof: Proof,
    cost: Cost | None,
) -> dict[str, Any]:
    """Signature, options, proof, figures and origin, without a path or a time of this machine."""
    info, metrics = run.info(), run.metrics()
    return {
        "format": FORMAT,
        "p5": info.p5,
        "run": run.name,
        "trained": info.created,
        "updated_from": info.updated_from,
        "refit_of": None if info.refit is None else info.refit.of,
        "opset": OPSET,
        "ir_version": IR_VERSION,
        **_signature(serving),
        **_served(serving),
        "parity": _parity(parity, proof),
        "quantized": None if cost is None else cost.to_dict(),
        "tolerance": EXACT if cost is None else QUANTIZED,
        "metrics": metrics.test,
        "intervals": metrics.intervals["test"],
        "protocol": metrics.protocol,
        "n_test_users": metrics.n_test_users,
        "model": {**_model(data, metrics), "blend": _blend(serving)},
        "data": _data(run, data),
        "plugins": _plugins(info, registry),
    }


def _signature(serving: Serving) -> dict[str, Any]:
    """Name → type and shape of what goes in and comes out."""
    ids = serving.items.kind
    who: dict[str, Any] = {"history": [ids, ["batch", "length"]]}
    if serving.users is not None:
        who = {"user": [serving.users.kind, ["batch"]]}
    columns = {name: ["string", ["batch", "k"]] for name in serving.metadata}
    predictions = {name: ["float32", ["scored_batch", "n"]] for name in serving.predictions}
    return {
        "id_kind": ids,
        **({"user_kind": serving.users.kind} if serving.users is not None else {}),
        "padding": str(np.iinfo(np.int64).min) if ids == "int64" else "",
        "inputs": {**who, "k": ["int64", [1]]},
        "outputs": {"items": [ids, ["batch", "k"]], "scores": ["float32", ["batch", "k"]], **columns},
        "score_inputs": {**who, "candidates": [ids, ["candidate_batch", "n"]]},
        "predictions": {name: prediction.output.kind for name, prediction in serving.predictions.items()},
        "score_outputs": {"scores": ["float32", ["scored_batch", "n"]], **predictions},
    }


def _served(serving: Serving) -> dict[str, Any]:
    """Sizes and options."""
    best = np.argsort(-serving.popularity, kind="stable")[:3]
    hidden = ("allow", "metadata", "force")
    options = {name: value for name, value in asdict(serving.options).items() if name not in hidden}
    return {
        **options,
        "max_length": serving.max_length,
        "n_items": len(serving.items),
        "n_allowed": len(serving.allowed),
        "n_users": None if serving.users is None else len(serving.users),
        "examples": [str(item) for item in serving.items.decode(best)],
        "user_examples": [] if serving.users is None else [str(user) for user in serving.users.ids[:3]],
    }


def _parity(parity: Parity, proof: Proof) -> dict[str, Any]:
    return {
        "cases": parity.n_cases,
        "largest_difference": parity.worst,
        "users_measured": proof.n_users,
        "network": {label: _number(value) for label, value in proof.network.items()},
        "exported": {label: _number(value) for label, value in proof.exported.items()},
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _model(data: ExperimentData, metrics: Metrics) -> dict[str, Any]:
    model, stages = data.experiment.model, data.experiment.stages
    has_network = model.scorer is None
    return {
        "backbone": model.backbone.name if has_network else None,
        "encoders": [encoder.name for encoder in model.encoders] if has_network else [],
        "width": model.width if has_network else 0,
        "parameters": metrics.n_parameters,
        "stages": [f"{stage.name}: {', '.join(task.name for task in stage.tasks)}" for stage in stages]
        if has_network
        else [],
    }


def _blend(serving: Serving) -> dict[str, Any] | None:
    """The scorers that are blended with the network, and their weights."""
    if serving.blend is None:
        return None
    pairs = zip(serving.blend.scorers, serving.blend.weights[1:], strict=True)
    return {
        "network": round(serving.blend.weights[0], 6),
        "scorers": [{"name": pair.name, "weight": round(weight, 6)} for pair, weight in pairs if weight > 0],
    }


def _plugins(info: RunInfo, registry: Registry) -> dict[str, str]:
    """Distribution → version of whatever provided the parts of the run; those installed now for a run of P5 0.1."""
    if info.parts:
        return {part.distribution: part.version for part in info.parts}
    return {plugin.distribution: plugin.version for plugin in registry.plugins if plugin.fault is None}


def _data(run: Run, data: ExperimentData) -> dict[str, Any]:
    """The training data, with the hashes of the prepared files."""
    dataset = data.target.dataset
    return {
        "loader": data.experiment.data.name,
        "users": len(dataset.users),
        "items": len(dataset.catalogue),
        "events": len(dataset.events.items),
        "sha256": {path.name: sha256(path) for path in sorted((run.data / "target").iterdir()) if path.is_file()},
    }
