"""From a finished run to a folder that anybody can use."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from p5core.errors import ExportError
from p5core.evaluation.judge import Judge
from p5core.files import read_json, sha256, write_json, write_text
from p5core.materials import Materials
from p5core.pipeline import load_network, make_judge, materials_of
from p5core.plugins import Registry
from p5core.runs import Run
from p5core.training.choose import metric_labels
from p5export.artefact import FORMAT
from p5export.card import licence_notes, model_card
from p5export.graph import ranking_graph, scoring_graph
from p5export.onnxfile import IR_VERSION, write_model
from p5export.parity import Parity, Proof, check_metrics, check_parity
from p5export.quantise import Cost, cost_of
from p5export.serving import ExportOptions, Serving, serving_of
from p5export.states import OPSET, export_states
from p5export.verify import EXACT, QUANTIZED

__all__ = ["Exported", "export_run"]

SCORES_AT_MOST = 12_000_000
"""Users whose metrics are recomputed × items; a sample of users for larger sets, 20 at least."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """What an export made."""

    folder: Path
    about: Mapping[str, Any]


def export_run(
    run: Run, folder: Path, registry: Registry, options: ExportOptions | None = None, say: Say = print
) -> Exported:
    """Export a finished run into `folder`, replacing an older export there.

    The folder appears when everything was proven: scores, order and test metrics equal those of the network. Raises
    ExportError otherwise, or when something else lies there; nothing is left behind.
    """
    options = options or ExportOptions()
    _may_replace(folder)
    run.verify()
    materials = materials_of(run, registry)
    network = load_network(run, materials, registry)
    serving = serving_of(network, materials.target.dataset, materials.experiment.model.max_length, options)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as name:
        made = Path(name) / "export"
        made.mkdir()
        about = _fill(made, run, materials, serving, registry, say)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    return Exported(folder, about)


def _may_replace(folder: Path) -> None:
    if folder.exists() and not (folder / "p5.json").is_file():
        raise ExportError(f"{folder} exists and is no export; it is left alone. Choose another --output.")


def _fill(
    folder: Path, run: Run, materials: Materials, serving: Serving, registry: Registry, say: Say
) -> Mapping[str, Any]:
    say("Tracing the network …")
    states = export_states(serving)
    files = _write(folder, states, serving)
    say("Comparing with the network …")
    parity = check_parity(serving, folder, materials.experiment.seed)
    if serving.options.quantize == "none":
        proof, cost = _prove_metrics(folder, run, materials, serving, registry), None
    else:
        exact = replace(serving, options=replace(serving.options, quantize="none"))
        plain = folder.with_name("plain")
        plain.mkdir()
        _write(plain, states, exact)
        check_parity(exact, plain, materials.experiment.seed)
        proof = _prove_metrics(plain, run, materials, exact, registry)
        cost = cost_of(serving, plain, folder, _judge(materials, serving, registry, ["ndcg@10"]))
        say(str(cost))
        cost.check(serving.options.force)
    write_json(folder / "golden.json", parity.golden)
    about = _about(run, materials, serving, registry, parity, proof, cost)
    write_text(folder / "README.md", model_card(about))
    write_text(folder / "LICENSE.md", licence_notes(about))
    files += [folder / name for name in ("golden.json", "README.md", "LICENSE.md")]
    about = {**about, "files": {path.name: sha256(path) for path in files}}
    write_json(folder / "p5.json", about)
    return about


def _write(folder: Path, states: ir.Model, serving: Serving) -> list[Path]:
    return [
        *write_model(ranking_graph(states, serving), folder / "model.onnx"),
        *write_model(scoring_graph(states, serving), folder / "score.onnx"),
    ]


def _prove_metrics(folder: Path, run: Run, materials: Materials, serving: Serving, registry: Registry) -> Proof:
    """Recompute the run's test metrics; those of all users must be the stored ones."""
    labels = metric_labels(materials.experiment, registry, materials.experiment.stages[-1:])
    proof = check_metrics(serving, folder / "score.onnx", _judge(materials, serving, registry, labels))
    stored = run.metrics()["test"]["model"]
    is_same_question = proof.n_users == len(materials.target.split.test) and serving.options.max_length is None
    for label, value in proof.exported.items() if is_same_question else ():
        if stored.get(label) is not None and abs(stored[label] - value) > 5e-5:
            raise ExportError(f"The run's {label} is {stored[label]:.6f}; through ONNX Runtime it is {value:.6f}.")
    return proof


def _judge(materials: Materials, serving: Serving, registry: Registry, labels: list[str]) -> Judge:
    """Who measures `labels` on test users, without intervals."""
    experiment, target = materials.experiment, materials.target
    n_users = max(20, SCORES_AT_MOST // len(serving.items))
    holdout = target.split.test.sample(n_users, np.random.default_rng(experiment.seed))
    if not serving.options.popular:  # the network would answer an empty history with popular items
        holdout = holdout.take(np.flatnonzero(holdout.histories.lengths > 0))
    evaluate = experiment.evaluate.model_copy(update={"resamples": 0})
    return make_judge(experiment.model_copy(update={"evaluate": evaluate}), registry, target, labels, holdout)


def _about(
    run: Run,
    materials: Materials,
    serving: Serving,
    registry: Registry,
    parity: Parity,
    proof: Proof,
    cost: Cost | None,
) -> dict[str, Any]:
    """Everything that p5.json says, the hashes left out."""
    metrics = run.metrics()
    experiment = materials.experiment
    made = read_json(run.path / "run.json")
    who = {"history": [serving.items.kind, ["batch", "length"]]}
    if serving.users is not None:
        who = {"user": [serving.users.kind, ["batch"]]}
    columns = {name: ["string", ["batch", "k"]] for name in serving.metadata}
    ratings = {"ratings": ["float32", ["batch", "n"]]} if serving.has_ratings else {}
    return {
        "format": FORMAT,
        "p5": made["p5"],
        "run": run.name,
        "trained": made["created"],
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "id_kind": serving.items.kind,
        **({"user_kind": serving.users.kind} if serving.users is not None else {}),
        "padding": str(np.iinfo(np.int64).min) if serving.items.kind == "int64" else "",
        "inputs": {**who, "k": ["int64", [1]]},
        "outputs": {
            "items": [serving.items.kind, ["batch", "k"]],
            "scores": ["float32", ["batch", "k"]],
            **columns,
        },
        "score_inputs": {**who, "candidates": [serving.items.kind, ["batch", "n"]]},
        "score_outputs": {"scores": ["float32", ["batch", "n"]], **ratings},
        "max_length": serving.max_length,
        "n_items": len(serving.items),
        "n_allowed": len(serving.allowed),
        "n_users": None if serving.users is None else len(serving.users),
        "exclude_seen": serving.options.exclude_seen,
        "popular": serving.options.popular,
        "quantize": serving.options.quantize,
        "quantized": None if cost is None else cost.to_dict(),
        "tolerance": EXACT if cost is None else QUANTIZED,
        "examples": [str(one) for one in serving.items.decode(np.argsort(-serving.popularity, kind="stable")[:3])],
        "user_examples": [] if serving.users is None else [str(one) for one in serving.users.ids[:3]],
        "parity": {
            "cases": parity.n_cases,
            "largest_difference": parity.worst,
            "users_measured": proof.n_users,
            "network": {label: _number(value) for label, value in proof.network.items()},
            "exported": {label: _number(value) for label, value in proof.exported.items()},
        },
        "metrics": metrics["test"],
        "intervals": metrics["intervals"]["test"],
        "protocol": metrics["protocol"],
        "n_test_users": metrics["n_test_users"],
        "model": {
            "backbone": experiment.model.backbone.name,
            "encoders": [one.name for one in experiment.model.encoders],
            "width": experiment.model.width,
            "parameters": metrics["n_parameters"],
            "stages": [f"{stage.name}: {', '.join(task.name for task in stage.tasks)}" for stage in experiment.stages],
        },
        "data": _data(run, materials),
        "plugins": {one.distribution: one.version for one in registry.plugins if one.fault is None},
    }


def _data(run: Run, materials: Materials) -> dict[str, Any]:
    """What it was trained on, without a path of this machine."""
    dataset = materials.target.dataset
    hashes = {path.name: sha256(path) for path in sorted((run.data / "target").iterdir()) if path.is_file()}
    return {
        "loader": materials.experiment.data.name,
        "users": len(dataset.users),
        "items": len(dataset.catalogue),
        "events": len(dataset.events.items),
        "sha256": hashes,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
