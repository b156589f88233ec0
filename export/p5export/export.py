"""Export of a finished run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from p5core.config.base import PartRef
from p5core.errors import ExportError
from p5core.evaluation.evaluator import Evaluator
from p5core.fitting.evaluate import make_evaluator
from p5core.fitting.experiment_data import ExperimentData
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.plugins.registry import Registry
from p5core.runs.run import Run
from p5core.system.files import sha256, write_json, write_text
from p5core.system.folders import hidden_path, remove_leftovers, replace_folder
from p5core.training.defaults import metric_refs
from p5core.workflows.evaluate_run import installed_metrics
from p5export.bundle.bundle import SEAL, seal
from p5export.bundle.document import ManifestDocument
from p5export.bundle.manifest import build_manifest
from p5export.bundle.model_card import licence_notes, model_card
from p5export.bundle.onnx_file import write_model
from p5export.bundle.signature import SIGNATURE, sign
from p5export.graph.requests import ranking_graph, scoring_graph
from p5export.graph.serving import ExportOptions, Serving, serving_of
from p5export.graph.states import export_prediction, export_states
from p5export.quantisation.cost import cost_of
from p5export.validation.parity import Proof, check_metrics, check_parity

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Exported", "export_run"]

SCORES_AT_MOST = 12_000_000
"""Users whose metrics are recomputed × items; a sample of users for larger sets, 20 at least."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """The result of an export."""

    folder: Path
    manifest: Mapping[str, Any]


def export_run(
    run: Run,
    folder: Path,
    registry: Registry,
    options: ExportOptions | None = None,
    say: Say = print,
    key: Ed25519PrivateKey | None = None,
) -> Exported:
    """Export a finished run into `folder`, replacing an older export there.

    The folder appears when everything was proven: scores, order and test metrics equal those of the network. It is
    signed if there is a `key`. Raises ExportError otherwise, or when something else lies there; nothing is left behind.
    """
    options = options or ExportOptions()
    _may_replace(folder)
    run.verify()
    data = load_run_data(run, registry)
    if options.exclude_seen is None:
        options = replace(options, exclude_seen=data.experiment.evaluate.exclude_seen)
    serving = serving_of(load_model(run, data, registry), data.target.dataset, options)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder.parent)
    hidden = hidden_path(folder)
    try:
        made = hidden / "export"
        made.mkdir(parents=True)
        manifest = _fill(made, run, data, serving, registry, say)
        if key is not None:
            sign(made, key)
        elif (folder / SIGNATURE).exists():
            say(f"The export that was in {folder} was signed, and this one is not: give --sign KEY to sign it.")
        replace_folder(made, folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return Exported(folder, manifest)


def _may_replace(folder: Path) -> None:
    if folder.exists() and not (folder / "p5.json").is_file():
        raise ExportError(f"{folder} exists and is no export; it is left alone. Choose another --output.")


def _fill(
    folder: Path, run: Run, data: ExperimentData, serving: Serving, registry: Registry, say: Say
) -> Mapping[str, Any]:
    say("Tracing the network …")
    graphs = _Graphs.of(serving)
    files = _write(folder, graphs, serving)
    say("Comparing with the network …")
    parity = check_parity(serving, folder, data.experiment.seed)
    if serving.options.quantize == "none":
        proof, cost = _prove_metrics(folder, run, data, serving, registry, say), None
    else:
        exact = replace(serving, options=replace(serving.options, quantize="none", subvectors=None))
        plain = folder.with_name("plain")
        plain.mkdir()
        _write(plain, graphs, exact)
        check_parity(exact, plain, data.experiment.seed)
        proof = _prove_metrics(plain, run, data, exact, registry, say)
        cost = cost_of(serving, plain, folder, _evaluator(data, serving, registry, ["ndcg@10"]))
        say(str(cost))
        cost.check(serving.options.force)
    write_json(folder / "golden.json", parity.golden)
    manifest = build_manifest(run, data, serving, registry, parity, proof, cost)
    write_text(folder / "README.md", model_card(manifest))
    write_text(folder / "LICENSE.md", licence_notes(manifest))
    files += [folder / name for name in ("golden.json", "README.md", "LICENSE.md")]
    manifest = {**manifest, "files": {path.name: sha256(path) for path in files}}
    manifest = {**manifest, SEAL: seal(manifest)}
    ManifestDocument.model_validate(manifest)
    write_json(folder / "p5.json", manifest)
    return manifest


@dataclass(frozen=True)
class _Graphs:
    """Traced parts of the model."""

    states: ir.Model
    heads: Mapping[str, ir.Model]
    """name of an output → its prediction"""

    @classmethod
    def of(cls, serving: Serving) -> _Graphs:
        heads = {name: export_prediction(serving, prediction) for name, prediction in serving.predictions.items()}
        return cls(export_states(serving), heads)


def _write(folder: Path, graphs: _Graphs, serving: Serving) -> list[Path]:
    return [
        *write_model(ranking_graph(graphs.states, serving), folder / "model.onnx"),
        *write_model(scoring_graph(graphs.states, serving, graphs.heads), folder / "score.onnx"),
    ]


def _prove_metrics(
    folder: Path, run: Run, data: ExperimentData, serving: Serving, registry: Registry, say: Callable[[str], None]
) -> Proof:
    """Recompute the run's test metrics; those of all users must be the stored ones."""
    labels, missing = installed_metrics(registry, metric_refs(data.experiment, registry, data.experiment.stages[-1:]))
    for sentence in missing:
        say(sentence)
    proof = check_metrics(serving, folder / "score.onnx", _evaluator(data, serving, registry, labels or ["ndcg@10"]))
    metrics = run.metrics()
    is_same_question = (
        run.is_measured() and proof.n_users == len(data.target.split.test) and serving.options.max_length is None
    )
    # Where another kind of device ranked, a near-tie of one user may fall the other way.
    tolerance = 5e-5 if metrics.device == "cpu" else max(5e-5, 1 / max(1, proof.n_users))
    for label, value in proof.network.items() if is_same_question else ():
        own = metrics.test["model"].get(label)
        if own is not None and abs(own - value) > tolerance:
            raise ExportError(f"The run's {label} is {own:.6f}; evaluated again it is {value:.6f}.")
    return proof


def _evaluator(data: ExperimentData, serving: Serving, registry: Registry, labels: Sequence[PartRef]) -> Evaluator:
    """An evaluator of `labels` on test users, without intervals."""
    experiment, target = data.experiment, data.target
    n_users = max(20, SCORES_AT_MOST // len(serving.items))
    holdout = target.split.test.sample(n_users, np.random.default_rng(experiment.seed))
    if not serving.options.popular:  # the network would answer an empty history with popular items
        holdout = holdout.take(np.flatnonzero(holdout.histories.lengths > 0))
    evaluate = experiment.evaluate.model_copy(update={"resamples": 0})
    return make_evaluator(experiment.model_copy(update={"evaluate": evaluate}), registry, target, labels, holdout)
