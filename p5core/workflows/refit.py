"""The recipe of a finished run, trained again on all its events, the held-out ones included."""

from __future__ import annotations

import shutil
from dataclasses import replace

from p5core.contracts.tracker import TestEvent
from p5core.data.holdout import without_holdout
from p5core.errors import RunError
from p5core.fitting.experiment_data import ExperimentData
from p5core.fitting.source import open_source, refuse_another, start_from
from p5core.fitting.trained_model import load_run_data, new_network
from p5core.model.blend import read_blend, write_blend
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.create import create_run
from p5core.runs.curves import best_epochs
from p5core.runs.documents import Refit, RunState, Status
from p5core.runs.logger import Display, RunLogger
from p5core.runs.names import check_run_name, free_name
from p5core.runs.progress import Phases
from p5core.runs.run import Run
from p5core.system.files import read_json, write_json, write_tensors
from p5core.training.engine import Engine
from p5core.training.stages import StageData, fit
from p5core.workflows.train import finish, reported

__all__ = ["go_on", "refit"]

COPIED = ("data", "features", "per_user.safetensors", "split.safetensors", "blend.json", "blend.safetensors")
"""Files and folders that are those of the run that was measured; the scorers of the blend are fitted again."""


def refit(run: Run, name: str | None = None, registry: Registry | None = None, display: Display | None = None) -> Run:
    """Train the recipe of a finished run on all its events and write a new run beside it.

    Each stage is trained for as many epochs as were best, with the same learning rates; scorers of the blend are fitted
    again and keep their options and weights. The figures stay those of the measured run, and say so: nothing is left to
    measure the new one on. Raises P5Error; KeyboardInterrupt, after saving, when it was asked to stop.
    """
    registry = registry or load_plugins()
    if name is not None:
        check_run_name(name)
    run.verify()
    info = run.info()
    if info.refit or info.updated_from:
        raise RunError(
            f"Run {run.path} comes from '{info.refit.of if info.refit else info.updated_from}' and has no held-out "
            "events of its own. Refit that one, or train anew."
        )
    experiment = run.experiment()
    if experiment.stages[0].from_run:
        refuse_another(run, open_source(experiment.stages[0].from_run, run.path.parent))
    best = best_epochs(run.path / "events.jsonl")
    epochs = [best.get(stage.name, stage.epochs) for stage in experiment.stages]

    def fill(folder: Run) -> None:
        for part in COPIED:
            source = run.path / part
            if source.is_dir():
                shutil.copytree(source, folder.path / part)
            elif source.exists():
                shutil.copy2(source, folder.path / part)
        _write_figures(folder, run)
        folder.write_status(Status(state=RunState.STARTING))

    path = run.path.parent / (name or free_name(run.path.parent, run.name))
    report = {**read_json(run.path / "report.json"), "refit": run.name}
    refit_of = Refit(of=run.name, epochs=epochs)
    folder = create_run(
        path, experiment, report, info.fold, parts=info.parts, source=info.source, refit=refit_of, fill=fill
    )
    return go_on(folder, registry, display)


def go_on(folder: Run, registry: Registry | None = None, display: Display | None = None) -> Run:
    """Train a run that `refit` began, to its end."""
    registry = registry or load_plugins()
    refit_of = folder.info().refit
    if refit_of is None:
        raise RunError(f"Run {folder.path} is no refit of another run. Resume it with p5 run --resume.")
    if folder.is_sealed():
        return finish(folder)
    with folder.locked():
        folder.check_prepared()
        data = _on_all_events(load_run_data(folder, registry))
        experiment = data.experiment
        network = new_network(data, registry)
        if experiment.stages[0].from_run and not folder.last_checkpoint.exists():
            start = open_source(experiment.stages[0].from_run, folder.path.parent)
            refuse_another(folder, start)
            start_from(network, data.target.dataset, start, registry, experiment.stages[0].match)
        trackers = [registry.choose("tracker", spec).build(folder.path) for spec in experiment.trackers]
        logger = RunLogger(folder, trackers, display, Phases(len(experiment.stages), []))
        with reported(folder, logger):
            logger.say(f"all events of '{refit_of.of}', held-out ones included; epochs: {refit_of.epochs}")
            engine = Engine(experiment.device, experiment.precision)
            nobody = [None] * len(experiment.stages)
            at, ends = folder.checkpoints, refit_of.epochs
            fit(network, experiment, registry, data.target, data.stages, nobody, at, logger, engine, ends)
            blend = read_blend(folder.path, registry)
            if blend is not None:
                target = data.target.dataset
                write_blend(folder.path, blend.refitted(target.events, target.catalogue))
            write_tensors(folder.weights, network.state_dict())
            folder.seal()
            shutil.rmtree(folder.checkpoints)
            logger.event(TestEvent(folder.metrics().test["model"]))
    return folder


def _on_all_events(data: ExperimentData) -> ExperimentData:
    """The same data with nothing held out."""
    whole = {id(part): StageData(part.dataset, without_holdout(part.dataset)) for part in data.parts}
    stages = [[whole[id(source)] for source in stage_data] for stage_data in data.stages]
    return replace(data, target=whole[id(data.target)], stages=stages)


def _write_figures(folder: Run, measured: Run) -> None:
    """The figures of the measured run, with a note on what they are of."""
    metrics = measured.metrics()
    note = f"Measured on '{measured.name}', before the recipe was trained again on all events."
    changed = metrics.model_copy(update={"protocol": f"{metrics.protocol} {note}", "protocol_message": None})
    write_json(folder.path / "metrics.json", changed.model_dump(mode="json"))
