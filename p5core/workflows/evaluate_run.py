"""Measuring a finished run again, with other options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from p5core.config.base import PartRef, PartSpec
from p5core.errors import RunError, UnknownPartError
from p5core.fitting.evaluate import Evaluation, evaluate_all
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.plugins.registry import Registry
from p5core.runs.run import Run
from p5core.training.defaults import check_metrics

__all__ = ["evaluate_run", "installed_metrics"]


def evaluate_run(
    folder: Run, registry: Registry, changes: Mapping[str, Any], metrics: Sequence[PartRef] = ()
) -> tuple[Evaluation, list[str]]:
    """Measure a finished run again, with other options of [evaluate] if wanted; its own figures stay as they are.

    Also returns a sentence about each metric that is left out since its plugin is not installed any more.
    """
    folder.verify()
    if folder.updated_from() is not None:
        raise RunError(
            f"Run {folder.path} grew out of '{folder.updated_from()}' and has read all events, the held-out ones too; "
            f"nothing is left to measure it on. Evaluate '{folder.updated_from()}', or train on the new data."
        )
    refit = folder.info().refit
    if refit is not None:
        raise RunError(
            f"Run {folder.path} was trained on all events, the held-out ones included; nothing is left to measure it "
            f"on. Evaluate '{refit.of}'."
        )
    data = load_run_data(folder, registry)
    evaluate = data.experiment.evaluate.model_copy(update=dict(changes))
    experiment = data.experiment.model_copy(update={"evaluate": evaluate})
    stored = evaluate.metrics or list(folder.metrics().test["model"])
    refs, sentences = (list(metrics), []) if metrics else installed_metrics(registry, stored)
    check_metrics(experiment, registry, refs)
    model = load_model(folder, data, registry)
    return evaluate_all(model, replace(data, experiment=experiment), registry, refs), sentences


def installed_metrics(registry: Registry, refs: Sequence[PartRef]) -> tuple[list[PartRef], list[str]]:
    """The metrics whose plugins are installed, and a sentence about each other one."""
    kept: list[PartRef] = []
    sentences = []
    for ref in refs:
        try:
            registry.get("metric", PartSpec.of(ref).name)
        except UnknownPartError as error:
            sentences.append(f"Left out: {error}")
        else:
            kept.append(ref)
    return kept, sentences
