"""From an experiment to a finished run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from p5core.config.base import AUTO, PartSpec
from p5core.config.document import dump_experiment, with_values
from p5core.config.experiment import Experiment
from p5core.config.parts import parts_of
from p5core.contracts.tracker import OptionsEvent, TestEvent
from p5core.data.storage import read_dataset, write_dataset
from p5core.errors import RunError
from p5core.evaluation.report import plain_intervals, plain_values
from p5core.evaluation.splitting import Fold
from p5core.fitting.evaluate import evaluate_all, per_user
from p5core.fitting.experiment_data import ExperimentData, gather
from p5core.fitting.fit import blend_with_scorers, fit_all, stage_evaluators
from p5core.fitting.probe import Probe, candidates, rungs
from p5core.fitting.source import Pretrained, open_source, refuse_another, start_from
from p5core.fitting.trained_model import (
    TrainedModel,
    load_run_data,
    new_network,
)
from p5core.model.blend import read_blend, write_blend
from p5core.model.build import serving_tasks
from p5core.model.features import FeatureCache, write_features
from p5core.model.network import Network
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.create import create_run
from p5core.runs.documents import Metrics, PartRecord, RunState, Status, StoredMessage, Trials
from p5core.runs.logger import Display, Logger, RunLogger, catch_signals
from p5core.runs.names import check_run_name, free_name
from p5core.runs.progress import Phases
from p5core.runs.run import Run
from p5core.system.files import write_bytes, write_json, write_tensors
from p5core.system.signals import stopped_with
from p5core.training.defaults import metric_refs, name_defaults, resolve
from p5core.training.engine import Engine
from p5core.training.loop import Silent, StopRequestedError
from p5core.training.memory import WeightLimit, advised
from p5core.training.resource_estimate import Estimate, estimate, refuse_too_large

__all__ = [
    "Prepared",
    "finish",
    "is_experiment_of",
    "plan_run",
    "prepare_run",
    "reported",
    "resume",
    "run",
]


COPIES = 5
"""Arrays of the size of the weights: they and, in the copy by which time is estimated, gradients and moments."""

SMALL = 64 * 2**20
"""Bytes of weights that are tried whatever memory is said to be free."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """The data and the untrained network of a run, both found to be right."""

    data: ExperimentData
    network: Network
    engine: Engine
    expected: Estimate
    source: Pretrained | None
    """the finished run or base that it starts from"""


def run(
    experiment: Experiment,
    runs: Path | str = "runs",
    name: str | None = None,
    registry: Registry | None = None,
    fold: Fold | None = None,
    display: Display | None = None,
) -> Run:
    """Load, prepare, train, evaluate and save an experiment; returns its finished run folder.

    Nothing is written before data, parts and options were found to be right. Raises P5Error for what is wrong;
    KeyboardInterrupt, after saving, when it was asked to stop.
    """
    registry = registry or load_plugins()
    path = Path(runs) / (name or free_name(Path(runs), "run"))
    check_run_name(path.name if name is None else name)
    with stopped_with("Stopped before training began; nothing was saved. Run it again."):
        prepared = prepare_run(experiment, Path(runs), registry, fold)
        folder = Run(prepared.engine.from_first(lambda: _create(path, prepared, registry)))
    with _held(folder, prepared.engine):
        return _train_and_evaluate(folder, prepared.data, prepared.network, registry, display, prepared.engine)


def _create(path: Path, prepared: Prepared, registry: Registry) -> Path:
    """Make the run folder with everything that training does not change."""
    data = prepared.data

    def fill(run: Run) -> None:
        write_dataset(run.data / "target", data.target.dataset)
        for index, stage_data in enumerate(data.stages):
            for nth, source in enumerate(stage_data):
                if source is not data.target:
                    write_dataset(run.source_data(index, nth), source.dataset)
        write_features(run.features, data.experiment, registry, data.target.dataset, data.features)
        _write_split(run, data)
        run.write_status(Status(state=RunState.STARTING, expected_seconds=list(prepared.expected.phases)))

    parts = _part_records(data.experiment, registry)
    source = prepared.source.seal_hash() if prepared.source else None
    return create_run(path, data.experiment, data.report, data.fold, parts=parts, source=source, fill=fill).path


def _write_split(run: Run, data: ExperimentData) -> None:
    from safetensors.numpy import save

    roles = {str(nth): np.ascontiguousarray(stage_roles) for nth, stage_roles in enumerate(data.roles)}
    write_bytes(run.path / "split.safetensors", save(roles))


def _part_records(experiment: Experiment, registry: Registry) -> list[PartRecord]:
    """The parts of an experiment, each once, with the distributions that provide them."""
    records = {}
    for place in parts_of(experiment):
        name = PartSpec.of(place.spec).name
        if name != AUTO.name:
            info = registry.info(place.kind, name)
            records[place.kind, name] = PartRecord(
                kind=place.kind, name=name, distribution=info.plugin.distribution, version=info.plugin.version
            )
    return list(records.values())


def plan_run(experiment: Experiment, runs: Path | str = "runs", registry: Registry | None = None) -> Prepared:
    """Plan a run without writing or training: its data and an estimate of time and memory."""
    return prepare_run(experiment, Path(runs), registry or load_plugins(), None)


def prepare_run(experiment: Experiment, runs: Path, registry: Registry, fold: Fold | None) -> Prepared:
    """Load all data, build the network and estimate the cost of training; raises P5Error."""
    engine = Engine(experiment.device, experiment.precision)
    first = experiment.stages[0]
    source = open_source(first.from_run, runs) if first.from_run else None
    base = source.dataset() if source else None
    cache = FeatureCache(base=source.features()) if source else None
    data = gather(experiment, registry, base, fold, cache)
    with advised("Lower model.width, model.max_length, the number of layers, or token_budget of the stages."):
        refuse_too_large(data.experiment, registry, data.target.dataset, engine)
        with WeightLimit(max(SMALL, engine.free_memory() // COPIES)):
            network = new_network(data, registry)
            for values in candidates(data.experiment, registry)[1:]:  # each can be built
                new_network(replace(data, experiment=with_values(data.experiment, values)), registry)
        told: list[str] = [start_from(network, data.target.dataset, source, registry, first.match)] if source else []
        evaluators = stage_evaluators(data, registry)
        expected = estimate(network, data.experiment, registry, data.target, data.stages, evaluators, engine, runs)
        expected = expected.with_trials(_share_of_trials(data.experiment, registry))
    told += [sentence for sentence in (expected.sentence, expected.disk_warning) if sentence]
    return Prepared(replace(data, sentences=[*data.sentences, *told]), network, engine, expected, source)


def _share_of_trials(experiment: Experiment, registry: Registry) -> float:
    """Epochs of the short trainings, as a multiple of those of the stages; raises ConfigError for faulty candidates."""
    n_epochs = sum(stage.epochs for stage in experiment.stages)
    planned = rungs(len(candidates(experiment, registry)), n_epochs, experiment.probe.budget)
    return sum(rung.n_candidates * rung.n_epochs for rung in planned) / n_epochs


def resume(folder: Run, registry: Registry | None = None, display: Display | None = None) -> Run:
    """Go on with a run that was stopped, killed or has failed; ends as if it had not been interrupted."""
    if folder.is_sealed():
        return finish(folder)
    refit = folder.info().refit
    if refit is not None:
        raise RunError(
            f"Run {folder.path} is trained on all events. Go on with: p5 refit {folder.path.parent / refit.of} "
            f"--name {folder.name} --resume"
        )
    if folder.updated_from() is not None:
        raise RunError(
            f"Run {folder.path} was left behind by a 'p5 update' that did not end. Delete it and run the update again."
        )
    registry = registry or load_plugins()
    experiment = folder.experiment()
    engine = Engine(experiment.device, experiment.precision)
    with _held(folder, engine):
        folder.check_prepared()
        data = load_run_data(folder, registry)
        network = new_network(data, registry)
        first = experiment.stages[0]
        if first.from_run and not folder.last_checkpoint.exists():
            source = open_source(first.from_run, folder.path.parent)
            refuse_another(folder, source)
            start_from(network, data.target.dataset, source, registry, first.match)
        return _train_and_evaluate(folder, data, network, registry, display, engine)


def _held(folder: Run, engine: Engine) -> AbstractContextManager[None]:
    """The lock of a run, held by the first of the processes that train it together."""
    return folder.locked() if engine.is_first else nullcontext()


def is_experiment_of(experiment: Experiment, folder: Run, registry: Registry) -> bool:
    """True if an experiment is that of a run; "auto" options are resolved as they were then."""
    if not folder.is_sealed():
        folder.check_prepared()
    started = folder.asked()
    named = name_defaults(experiment, registry)
    if named.precision == "auto":
        named = named.model_copy(update={"precision": started.precision})
    if len(named.stages) == len(started.stages):
        pairs = zip(named.stages, started.stages, strict=True)
        budgets = [then.token_budget if now.token_budget == AUTO.name else now.token_budget for now, then in pairs]
        stages = zip(named.stages, budgets, strict=True)
        named = named.model_copy(
            update={"stages": [stage.model_copy(update={"token_budget": n}) for stage, n in stages]}
        )
    resolved, _ = resolve(named, registry, read_dataset(folder.data / "target"))
    return dump_experiment(resolved) == dump_experiment(started)


def finish(folder: Run) -> Run:
    """Write down that a run whose manifest is whole is done; raises RunError when that is known already."""
    if folder.status().state == RunState.DONE:
        raise RunError(f"Run {folder.path} is finished; there is nothing to resume.")
    with folder.locked():
        folder.verify()
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
        folder.write_status(Status(state=RunState.DONE, share=1.0))
    return folder


def _train_and_evaluate(
    folder: Run, data: ExperimentData, network: Network, registry: Registry, display: Display | None, engine: Engine
) -> Run:
    if not engine.is_first:
        data, network = _with_chosen_options(folder, data, network, registry, Silent(), engine)
        fit_all(folder.checkpoints, data, network, registry, Silent(), engine)
        return folder
    experiment = data.experiment
    trackers = [registry.choose("tracker", spec).build(folder.path) for spec in experiment.trackers]
    phases = Phases(len(experiment.stages), folder.status().expected_seconds)
    if not experiment.probe.candidates:  # none were asked for, or they were tried before
        phases.finish(0)
    logger = RunLogger(folder, trackers, display, phases)
    _logged(folder, data, network, registry, logger, engine)
    return folder


def _logged(
    folder: Run, data: ExperimentData, network: Network, registry: Registry, logger: RunLogger, engine: Engine
) -> None:
    """Train, evaluate and seal; the log and the exception report how it ended."""
    with reported(folder, logger):
        for sentence in data.sentences:
            logger.say(sentence)
        data, network = _with_chosen_options(folder, data, network, registry, logger, engine)
        seconds = fit_all(folder.checkpoints, data, network, registry, logger, engine)
        began = time.perf_counter()
        with advised(f"Lower evaluate.memory (now {data.experiment.evaluate.memory} MB) or model.max_length."):
            model = _blended(folder, network, data, registry, logger)
            _evaluate_and_seal(folder, data, model, registry, logger, seconds + time.perf_counter() - began)


def _with_chosen_options(
    folder: Run, data: ExperimentData, network: Network, registry: Registry, logger: Logger | Silent, engine: Engine
) -> tuple[ExperimentData, Network]:
    """The data and the untrained network with the options that short trainings choose, if the experiment asks for any.

    A run that is resumed goes on with the trials that are left.
    """
    if not data.experiment.probe.candidates:
        return data, network
    keep: Callable[[Trials], None] = folder.write_trials if engine.is_first else lambda _: None
    with advised("Leave large values out of probe.candidates."):
        probe = Probe(data, registry, folder.checkpoints, folder.trials(), keep, logger, engine)
        chosen = probe.choose()
    keep(probe.trials.ended(chosen))
    data = replace(data, experiment=engine.from_first(folder.experiment))
    if not isinstance(logger, Silent):
        logger.event(OptionsEvent(chosen))
    return data, new_network(data, registry)


@contextmanager
def reported(folder: Run, logger: RunLogger) -> Iterator[None]:
    """Training whose state is written down, and that can be stopped; a KeyboardInterrupt says what is left."""
    try:
        logger.state(RunState.RUNNING)
        with catch_signals(logger):
            yield
        logger.state(RunState.DONE)
    except StopRequestedError:
        logger.state(RunState.STOPPED)
        raise KeyboardInterrupt(f"Saved in {folder.path}; go on with --resume.") from None
    except KeyboardInterrupt:
        logger.state(RunState.DONE if folder.is_sealed() else RunState.STOPPED)
        raise KeyboardInterrupt(_what_is_left(folder)) from None
    except BaseException as error:
        logger.state(RunState.FAILED, str(error))
        raise
    finally:
        logger.close()


def _blended(
    folder: Run, network: Network, data: ExperimentData, registry: Registry, logger: RunLogger
) -> TrainedModel:
    """The network with its blend, which is saved before the evaluation begins."""
    if folder.has_blend():
        experiment = data.experiment
        blend = read_blend(folder.path, registry)
        return TrainedModel(network, experiment.model.max_length, blend, serving_tasks(experiment, registry))
    model = blend_with_scorers(network, data, registry, logger)
    if model.blend is not None:
        write_blend(folder.path, model.blend)
        folder.record_blend()
    return model


def _what_is_left(folder: Run) -> str:
    """A sentence on where an interrupted run can resume."""
    if folder.is_sealed():
        return f"Stopped; the run is whole: {folder.path}"
    if not folder.last_checkpoint.exists():
        if n_trials := len(folder.trials().trials):
            return f"Stopped at once; {n_trials} short trainings in {folder.path} have ended. Go on with --resume."
        return f"Stopped at once, before anything was saved in {folder.path}; --resume trains from the beginning."
    age = time.time() - folder.last_checkpoint.stat().st_mtime
    return (
        f"Stopped at once. The last checkpoint in {folder.path} is {age:.0f} s old; what was trained since is lost. "
        "Go on with --resume."
    )


def _evaluate_and_seal(
    folder: Run, data: ExperimentData, model: TrainedModel, registry: Registry, logger: RunLogger, seconds: float
) -> None:
    refs = metric_refs(data.experiment, registry, data.experiment.stages[-1:])
    evaluation = evaluate_all(model, data, registry, refs, logger)
    write_tensors(folder.weights, model.network.state_dict())
    write_tensors(folder.path / "per_user.safetensors", per_user(evaluation, data))
    metrics = Metrics(
        test=plain_values(evaluation.results["test"]),
        validation=plain_values(evaluation.results["validation"]),
        intervals={part: plain_intervals(results) for part, results in evaluation.results.items()},
        protocol=evaluation.note,
        protocol_message=StoredMessage.of(evaluation.note),
        device=model.network.items.counts.device.type,
        n_test_users=len(data.target.split.test),
        train_seconds=seconds,
        n_parameters=sum(weight.numel() for weight in model.network.parameters()),
    )
    write_json(folder.path / "metrics.json", metrics.model_dump(mode="json"))
    folder.seal()
    shutil.rmtree(folder.checkpoints)
    logger.event(TestEvent(metrics.test["model"]))
