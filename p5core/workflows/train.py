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
from p5core.evaluation.evaluator import Judge
from p5core.evaluation.report import plain_intervals, plain_values
from p5core.model.build import build_network
from p5core.model.network import Network
from p5core.model.warm_start import start_from
from p5core.plugins.registry import Registry, load_plugins
from p5core.runs.folder import Run, check_run_name, create_run, free_name, open_run
from p5core.runs.logger import Display, Log, RunLog, catch_signals
from p5core.runs.progress import Phases
from p5core.system.files import write_json, write_tensors
from p5core.training.blending import choose_memory
from p5core.training.defaults import check_metrics, metric_labels, watched_metric
from p5core.training.loop import StopRequestedError
from p5core.training.resource_estimate import Estimate, estimate
from p5core.training.stages import fit
from p5core.workflows.evaluate import Judgement, judge_all, make_judge, per_user, validation_sample
from p5core.workflows.experiment_data import Materials, gather, rebuild

__all__ = [
    "evaluate_run",
    "foresee",
    "load_network",
    "materials_of",
    "open_source",
    "resume",
    "run",
    "try_out",
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
    materials, network, expected = _ready(experiment, Path(runs), registry, fold)

    def fill(run: Run) -> None:
        _write_data(run, materials)
        write_json(run.path / "status.json", {"state": "starting", "expected_seconds": expected.phases})

    folder = create_run(path, materials.experiment, materials.report, fold, fill=fill)
    return _train_and_judge(folder, materials, network, registry, display)


def foresee(experiment: Experiment, runs: Path | str = "runs", registry: Registry | None = None) -> Materials:
    """Everything that `run` does before it writes or trains; the last sentence is an estimate of memory and time."""
    return _ready(experiment, Path(runs), registry or load_plugins(), None)[0]


def _ready(
    experiment: Experiment, runs: Path, registry: Registry, fold: tuple[int, int] | None
) -> tuple[Materials, Network, Estimate]:
    """The data and the untrained network of a run, both found to be right, and what it will take."""
    source = experiment.stages[0].from_run
    known = open_source(source, runs) if source else None
    materials = gather(experiment, registry, read_dataset(known.data / "target") if known else None, fold)
    network = _new_network(materials, registry)
    if known:
        _start_from_run(network, known, registry)
    expected = estimate(network, materials.experiment, registry, materials.stages, _judges(materials, registry))
    return replace(materials, sentences=[*materials.sentences, expected.sentence]), network, expected


def resume(folder: Run, registry: Registry | None = None, display: Display | None = None) -> Run:
    """Go on with a run that was stopped, killed or has failed; ends as if it had not been interrupted."""
    if folder.is_sealed():
        return _end(folder)
    if folder.updated_from() is not None:
        raise RunError(
            f"Run {folder.path} was left behind by a 'p5 update' that did not end. Delete it and run the update again."
        )
    registry = registry or load_plugins()
    materials = materials_of(folder, registry)
    network = _new_network(materials, registry)
    source = materials.experiment.stages[0].from_run
    if source and not folder.last_checkpoint.exists():
        _start_from_run(network, open_source(source, folder.path.parent), registry)
    return _train_and_judge(folder, materials, network, registry, display)


def _end(folder: Run) -> Run:
    """Write down that a run whose manifest is whole is done; raises RunError when that is known already."""
    if folder.status().get("state") == "done":
        raise RunError(f"Run {folder.path} is finished; there is nothing to resume.")
    with folder.locked():
        folder.verify()
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
        write_json(folder.path / "status.json", {"state": "done", "share": 1.0})
    return folder


def _train_and_judge(
    folder: Run, materials: Materials, network: Network, registry: Registry, display: Display | None
) -> Run:
    with folder.locked():
        experiment = materials.experiment
        trackers = [registry.choose("tracker", spec).build(folder.path) for spec in experiment.trackers]
        phases = Phases(len(experiment.stages), folder.expected_seconds())
        log = RunLog(folder, trackers, display, phases)
        _followed(folder, materials, network, registry, log)
    return folder


def _followed(folder: Run, materials: Materials, network: Network, registry: Registry, log: RunLog) -> None:
    """Train, evaluate and seal; the log and the exception say truthfully how it ended."""
    try:
        log.state("running")
        for sentence in materials.sentences:
            log.say(sentence)
        with catch_signals(log):
            seconds = _fit(folder, materials, network, registry, log)
            _judge_and_seal(folder, materials, network, registry, log, seconds)
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


def try_out(materials: Materials, registry: Registry, folder: Run, log: Log, known: Run | None = None) -> float:
    """Train as the experiment says; returns the last stage's watched metric on validation events.

    `folder` need not be a run: only its checkpoints are written, and test events are not looked at. `known` is the
    run to start from.
    """
    experiment = materials.experiment
    network = _new_network(materials, registry)
    if known:
        _start_from_run(network, known, registry)
    _fit(folder, materials, network, registry, log)
    watch = watched_metric(experiment.stages[-1], registry)
    users = validation_sample(materials.target.split.validation, experiment)
    return make_judge(experiment, registry, materials.target, [watch.label], users).validate(network)[watch.label]


def _fit(folder: Run, materials: Materials, network: Network, registry: Registry, log: Log) -> float:
    judges = _judges(materials, registry)
    seconds = fit(network, materials.experiment, registry, materials.stages, judges, folder.checkpoints, log)
    return seconds + _mix_memory(network, materials, registry, log)


def _judges(materials: Materials, registry: Registry) -> list[tuple[Judge, Metric]]:
    """Who validates each stage, and the metric to watch."""
    experiment = materials.experiment
    found = []
    for stage, material in zip(experiment.stages, materials.stages, strict=True):
        watch = watched_metric(stage, registry)
        labels = list(dict.fromkeys([*metric_labels(experiment, registry, [stage]), watch.label]))
        holdout = validation_sample(material.split.validation, experiment)
        found.append((make_judge(experiment, registry, material, labels, holdout), watch))
    return found


def _mix_memory(network: Network, materials: Materials, registry: Registry, log: Log) -> float:
    """Choose on validation events how the memory counts, and how much; returns the seconds it took."""
    if network.memory is None:
        return 0.0
    began = time.perf_counter()
    experiment, target = materials.experiment, materials.target
    watch = watched_metric(experiment.stages[-1], registry)
    n_users = min(MIXING_USERS, MIXING_SCORES // target.dataset.n_items)
    holdout = target.split.validation.sample(n_users, np.random.default_rng(experiment.seed))
    judge = make_judge(experiment, registry, target, [watch.label], holdout, log)
    for sentence in choose_memory(network, target.split.train, target.dataset.catalogue, judge, watch):
        log.say(sentence)
    return time.perf_counter() - began


def _judge_and_seal(
    folder: Run, materials: Materials, network: Network, registry: Registry, log: RunLog, seconds: float
) -> None:
    labels = metric_labels(materials.experiment, registry, materials.experiment.stages[-1:])
    judgement = judge_all(network, materials, registry, labels, log)
    write_tensors(folder.weights, network.state_dict())
    write_tensors(folder.path / "per_user.safetensors", per_user(judgement, materials))
    metrics: dict[str, Any] = {
        **{part: plain_values(figures) for part, figures in judgement.figures.items()},
        "intervals": {part: plain_intervals(figures) for part, figures in judgement.figures.items()},
        "protocol": judgement.note,
        "n_test_users": len(materials.target.split.test),
        "train_seconds": seconds,
        "n_parameters": sum(one.numel() for one in network.parameters()),
    }
    write_json(folder.path / "metrics.json", metrics)
    folder.seal()
    shutil.rmtree(folder.checkpoints)
    log.event("test", **metrics["test"]["model"])


def evaluate_run(
    folder: Run, registry: Registry, changes: Mapping[str, Any], metrics: list[str] | None = None
) -> Judgement:
    """Measure a finished run again, with other options of [evaluate] if wanted; its own figures stay as they are."""
    folder.verify()
    if folder.updated_from() is not None:
        raise RunError(
            f"Run {folder.path} was updated with new events, the held-out ones included; nothing is left to measure it "
            f"on. Evaluate '{folder.updated_from()}', or train on the new events."
        )
    materials = materials_of(folder, registry)
    evaluate = materials.experiment.evaluate.model_copy(update=dict(changes))
    experiment = materials.experiment.model_copy(update={"evaluate": evaluate})
    check_metrics(experiment, registry, metrics or ())
    labels = metrics or metric_labels(experiment, registry, experiment.stages[-1:])
    changed = Materials(experiment, materials.target, materials.stages, materials.fold, {}, [])
    return judge_all(load_network(folder, materials, registry), changed, registry, labels)


def materials_of(folder: Run, registry: Registry) -> Materials:
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


def load_network(folder: Run, materials: Materials, registry: Registry) -> Network:
    """The trained network of a finished run."""
    from safetensors.torch import load_file

    network = _new_network(materials, registry)
    network.load_state_dict(load_file(folder.weights))
    return network.eval()


def _new_network(materials: Materials, registry: Registry) -> Network:
    experiment = materials.experiment
    kinds = {registry.get("task", task.name).loss_kind for stage in experiment.stages for task in stage.tasks}
    ratings = materials.target.split.train.ratings
    mean = float(ratings.mean()) if "rating" in kinds and ratings is not None else None
    return build_network(experiment.model, registry, materials.target.dataset, mean, experiment.seed)


def open_source(name: str, runs: Path) -> Run:
    """The finished run to start from: a path, or a name among the runs; raises RunError."""
    found = open_run(runs / name if (runs / name).exists() else Path(name))
    found.verify()
    return found


def _start_from_run(network: Network, source: Run, registry: Registry) -> None:
    materials = materials_of(source, registry)
    old = load_network(source, materials, registry)
    start_from(network, old.state_dict(), old.row_labels())


def _write_data(folder: Run, materials: Materials) -> None:
    write_dataset(folder.data / "target", materials.target.dataset)
    for index, material in enumerate(materials.stages):
        if material is not materials.target:
            write_dataset(folder.data / f"stage-{index}", material.dataset)
