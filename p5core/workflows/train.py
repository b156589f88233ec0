"""From an experiment to a finished run folder, as plain functions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from p5core.config.experiment import Experiment
from p5core.contracts.metric import Metric
from p5core.data.storage import read_dataset, write_dataset
from p5core.errors import RunError
from p5core.evaluation.evaluator import Evaluator
from p5core.evaluation.report import plain_intervals, plain_values
from p5core.model.build import build_network
from p5core.model.network import Network
from p5core.model.warm_start import warm_start
from p5core.plugins.registry import Registry, load_plugins
from p5core.runs.folder import Run, check_run_name, create_run, free_name, open_run
from p5core.runs.logger import Display, Log, RunLogger, catch_signals
from p5core.runs.progress import Phases
from p5core.system.files import write_json, write_tensors
from p5core.training.blending import choose_memory
from p5core.training.defaults import check_metrics, metric_labels, watched_metric
from p5core.training.loop import StopRequestedError
from p5core.training.resource_estimate import Estimate, estimate
from p5core.training.stages import fit
from p5core.workflows.evaluate import Evaluation, evaluate_all, make_evaluator, per_user, validation_sample
from p5core.workflows.experiment_data import ExperimentData, gather, rebuild

__all__ = [
    "evaluate_run",
    "load_network",
    "load_run_data",
    "open_source",
    "plan_run",
    "resume",
    "run",
    "run_trial",
]


MIXING_USERS = 20_000
"""Validation users at most by whom the mixture of network and memory is chosen."""

MIXING_SCORES = 2_000_000_000
"""Scores of theirs at most: with very many items fewer users decide."""


def run(
    experiment: Experiment,
    runs: Path | str = "runs",
    name: str | None = None,
    registry: Registry | None = None,
    fold: tuple[int, int] | None = None,
    display: Display | None = None,
) -> Run:
    """Load, prepare, train, evaluate and save an experiment; returns its finished run folder.

    Nothing is written before data, parts and options were found to be right. Raises P5Error for what is wrong;
    KeyboardInterrupt, after saving, when it was asked to stop.
    """
    registry = registry or load_plugins()
    path = Path(runs) / (name or free_name(Path(runs), "run"))
    check_run_name(path.name if name is None else name)
    data, network, expected = _ready(experiment, Path(runs), registry, fold)

    def fill(run: Run) -> None:
        _write_data(run, data)
        write_json(run.path / "status.json", {"state": "starting", "expected_seconds": expected.phases})

    folder = create_run(path, data.experiment, data.report, fold, fill=fill)
    return _train_and_evaluate(folder, data, network, registry, display)


def plan_run(experiment: Experiment, runs: Path | str = "runs", registry: Registry | None = None) -> ExperimentData:
    """Everything that `run` does before it writes or trains; the last sentence is an estimate of memory and time."""
    return _ready(experiment, Path(runs), registry or load_plugins(), None)[0]


def _ready(
    experiment: Experiment, runs: Path, registry: Registry, fold: tuple[int, int] | None
) -> tuple[ExperimentData, Network, Estimate]:
    """The data and the untrained network of a run, both found to be right, and what it will take."""
    source = experiment.stages[0].from_run
    known = open_source(source, runs) if source else None
    data = gather(experiment, registry, read_dataset(known.data / "target") if known else None, fold)
    network = _new_network(data, registry)
    if known:
        _warm_start(network, known, registry)
    expected = estimate(network, data.experiment, registry, data.stages, _evaluators(data, registry))
    return replace(data, sentences=[*data.sentences, expected.sentence]), network, expected


def resume(folder: Run, registry: Registry | None = None, display: Display | None = None) -> Run:
    """Go on with a run that was stopped, killed or has failed; ends as if it had not been interrupted."""
    if folder.is_sealed():
        return _end(folder)
    if folder.updated_from() is not None:
        raise RunError(
            f"Run {folder.path} was left behind by a 'p5 update' that did not end. Delete it and run the update again."
        )
    registry = registry or load_plugins()
    data = load_run_data(folder, registry)
    network = _new_network(data, registry)
    source = data.experiment.stages[0].from_run
    if source and not folder.last_checkpoint.exists():
        _warm_start(network, open_source(source, folder.path.parent), registry)
    return _train_and_evaluate(folder, data, network, registry, display)


def _end(folder: Run) -> Run:
    """Write down that a run whose manifest is whole is done; raises RunError when that is known already."""
    if folder.status().get("state") == "done":
        raise RunError(f"Run {folder.path} is finished; there is nothing to resume.")
    with folder.locked():
        folder.verify()
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
        write_json(folder.path / "status.json", {"state": "done", "share": 1.0})
    return folder


def _train_and_evaluate(
    folder: Run, data: ExperimentData, network: Network, registry: Registry, display: Display | None
) -> Run:
    with folder.locked():
        experiment = data.experiment
        trackers = [registry.choose("tracker", spec).build(folder.path) for spec in experiment.trackers]
        phases = Phases(len(experiment.stages), folder.expected_seconds())
        log = RunLogger(folder, trackers, display, phases)
        _followed(folder, data, network, registry, log)
    return folder


def _followed(folder: Run, data: ExperimentData, network: Network, registry: Registry, log: RunLogger) -> None:
    """Train, evaluate and seal; the log and the exception say truthfully how it ended."""
    try:
        log.state("running")
        for sentence in data.sentences:
            log.say(sentence)
        with catch_signals(log):
            seconds = _fit(folder, data, network, registry, log)
            _evaluate_and_seal(folder, data, network, registry, log, seconds)
        log.state("done")
    except StopRequestedError:
        log.state("stopped")
        raise KeyboardInterrupt(f"Saved in {folder.path}; go on with --resume.") from None
    except KeyboardInterrupt:
        log.state("stopped")
        raise KeyboardInterrupt(_what_is_left(folder)) from None
    except BaseException as error:
        log.state("failed", str(error))
        raise
    finally:
        log.close()


def _what_is_left(folder: Run) -> str:
    """What a run that was broken off can go on from, in a sentence."""
    if not folder.last_checkpoint.exists():
        return f"Stopped at once, before anything was saved in {folder.path}; --resume trains from the beginning."
    age = time.time() - folder.last_checkpoint.stat().st_mtime
    return (
        f"Stopped at once. The last checkpoint in {folder.path} is {age:.0f} s old; what was trained since is lost. "
        "Go on with --resume."
    )


def run_trial(data: ExperimentData, registry: Registry, folder: Run, log: Log, known: Run | None = None) -> float:
    """Train as the experiment says; returns the last stage's watched metric on validation events.

    `folder` need not be a run: only its checkpoints are written, and test events are not looked at. `known` is the
    run to start from.
    """
    experiment = data.experiment
    network = _new_network(data, registry)
    if known:
        _warm_start(network, known, registry)
    _fit(folder, data, network, registry, log)
    watch = watched_metric(experiment.stages[-1], registry)
    users = validation_sample(data.target.split.validation, experiment)
    return make_evaluator(experiment, registry, data.target, [watch.label], users).validate(network)[watch.label]


def _fit(folder: Run, data: ExperimentData, network: Network, registry: Registry, log: Log) -> float:
    evaluators = _evaluators(data, registry)
    seconds = fit(network, data.experiment, registry, data.stages, evaluators, folder.checkpoints, log)
    return seconds + _mix_memory(network, data, registry, log)


def _evaluators(data: ExperimentData, registry: Registry) -> list[tuple[Evaluator, Metric]]:
    """Who validates each stage, and the metric to watch."""
    experiment = data.experiment
    found = []
    for stage, stage_data in zip(experiment.stages, data.stages, strict=True):
        watch = watched_metric(stage, registry)
        labels = list(dict.fromkeys([*metric_labels(experiment, registry, [stage]), watch.label]))
        holdout = validation_sample(stage_data.split.validation, experiment)
        found.append((make_evaluator(experiment, registry, stage_data, labels, holdout), watch))
    return found


def _mix_memory(network: Network, data: ExperimentData, registry: Registry, log: Log) -> float:
    """Choose on validation events how the memory counts, and how much; returns the seconds it took."""
    if network.memory is None:
        return 0.0
    began = time.perf_counter()
    experiment, target = data.experiment, data.target
    watch = watched_metric(experiment.stages[-1], registry)
    n_users = min(MIXING_USERS, MIXING_SCORES // target.dataset.n_items)
    holdout = target.split.validation.sample(n_users, np.random.default_rng(experiment.seed))
    evaluator = make_evaluator(experiment, registry, target, [watch.label], holdout, log)
    for sentence in choose_memory(network, target.split.train, target.dataset.catalogue, evaluator, watch):
        log.say(sentence)
    return time.perf_counter() - began


def _evaluate_and_seal(
    folder: Run, data: ExperimentData, network: Network, registry: Registry, log: RunLogger, seconds: float
) -> None:
    labels = metric_labels(data.experiment, registry, data.experiment.stages[-1:])
    evaluation = evaluate_all(network, data, registry, labels, log)
    write_tensors(folder.weights, network.state_dict())
    write_tensors(folder.path / "per_user.safetensors", per_user(evaluation, data))
    metrics: dict[str, Any] = {
        **{part: plain_values(figures) for part, figures in evaluation.figures.items()},
        "intervals": {part: plain_intervals(figures) for part, figures in evaluation.figures.items()},
        "protocol": evaluation.note,
        "n_test_users": len(data.target.split.test),
        "train_seconds": seconds,
        "n_parameters": sum(one.numel() for one in network.parameters()),
    }
    write_json(folder.path / "metrics.json", metrics)
    folder.seal()
    shutil.rmtree(folder.checkpoints)
    log.event("test", **metrics["test"]["model"])


def evaluate_run(
    folder: Run, registry: Registry, changes: Mapping[str, Any], metrics: list[str] | None = None
) -> Evaluation:
    """Measure a finished run again, with other options of [evaluate] if wanted; its own figures stay as they are."""
    folder.verify()
    if folder.updated_from() is not None:
        raise RunError(
            f"Run {folder.path} was updated with new events, the held-out ones included; nothing is left to measure it "
            f"on. Evaluate '{folder.updated_from()}', or train on the new events."
        )
    data = load_run_data(folder, registry)
    evaluate = data.experiment.evaluate.model_copy(update=dict(changes))
    experiment = data.experiment.model_copy(update={"evaluate": evaluate})
    check_metrics(experiment, registry, metrics or ())
    labels = metrics or metric_labels(experiment, registry, experiment.stages[-1:])
    changed = ExperimentData(experiment, data.target, data.stages, data.fold, {}, [])
    return evaluate_all(load_network(folder, data, registry), changed, registry, labels)


def load_run_data(folder: Run, registry: Registry) -> ExperimentData:
    """The data of a run as it was prepared, split in the same way; raises RunError when some of it is missing.

    An updated run is not trained again and holds the data of its target alone.
    """
    experiment = folder.experiment()
    target = read_dataset(folder.data / "target")
    is_updated = folder.updated_from() is not None
    datasets = []
    for index, stage in enumerate(experiment.stages):
        path = folder.data / f"stage-{index}"
        has_own = stage.data is not None and not is_updated
        if has_own and not path.exists():
            raise RunError(
                f"Run {folder.path} lacks its folder data/stage-{index}, the data of stage '{stage.name}'. Restore it "
                "from a copy or run again."
            )
        datasets.append(read_dataset(path) if has_own else target)
    return rebuild(experiment, registry, datasets, target, folder.fold())


def load_network(folder: Run, data: ExperimentData, registry: Registry) -> Network:
    """The trained network of a finished run."""
    from safetensors.torch import load_file

    network = _new_network(data, registry)
    network.load_state_dict(load_file(folder.weights))
    return network.eval()


def _new_network(data: ExperimentData, registry: Registry) -> Network:
    experiment = data.experiment
    kinds = {registry.get("task", task.name).loss_kind for stage in experiment.stages for task in stage.tasks}
    ratings = data.target.split.train.ratings
    mean = float(ratings.mean()) if "rating" in kinds and ratings is not None else None
    return build_network(experiment.model, registry, data.target.dataset, mean, experiment.seed)


def open_source(name: str, runs: Path) -> Run:
    """The finished run to start from: a path, or a name among the runs; raises RunError."""
    found = open_run(runs / name if (runs / name).exists() else Path(name))
    found.verify()
    return found


def _warm_start(network: Network, source: Run, registry: Registry) -> None:
    data = load_run_data(source, registry)
    old = load_network(source, data, registry)
    warm_start(network, old.state_dict(), old.row_labels())


def _write_data(folder: Run, data: ExperimentData) -> None:
    write_dataset(folder.data / "target", data.target.dataset)
    for index, stage_data in enumerate(data.stages):
        if stage_data is not data.target:
            write_dataset(folder.data / f"stage-{index}", stage_data.dataset)
