"""A pre-trained run beside the same experiment from scratch; the better one is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from p5core.config.base import AUTO, PartSpec
from p5core.config.experiment import Experiment, ModelConfig
from p5core.errors import ConfigError, RunError
from p5core.fitting.source import network_differences, network_options, open_source, without_files
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.create import open_run
from p5core.runs.logger import Display
from p5core.runs.names import check_run_name
from p5core.runs.run import Run
from p5core.training.defaults import watched_metric
from p5core.workflows.compare import Compared, compare_sides, is_pretrained, stored_side, without_pretraining
from p5core.workflows.train import is_experiment_of, resume, run

__all__ = ["Finetuned", "finetune", "with_source_network"]

RESAMPLES = 10_000


@dataclass(frozen=True, eq=False)
class Finetuned:
    """The better of a pre-trained run and its control, and what pre-training gave."""

    run: Run
    """the better one on validation events"""

    other: Run

    is_pretrained: bool
    """True if the better one is the pre-trained one"""

    label: str
    """the metric that the last stage watches"""

    pretrained: float
    control: float
    """its value on validation events"""

    differences: tuple[str, ...]
    """options by which the networks of the two differ"""

    test: Compared | None
    """the pre-trained run less its control, on test events; None if the metric is not stored for each user"""

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        gain = f", {(self.pretrained / self.control - 1):+.1%}" if self.control else ""
        validation = f"{self.label} on validation events {self.pretrained:.4f}, from scratch {self.control:.4f}{gain}"
        verdict = (
            f"Pre-training helped: {validation}. {self.run.path} is the pre-trained run."
            if self.is_pretrained
            else f"Pre-training did not help here and is left out: {validation}. {self.run.path} began from scratch."
        )
        if self.differences:
            verdict += f" Their networks differ in {', '.join(self.differences)}."
        if self.test is None:
            return verdict
        result = self.test.result
        return (
            f"{verdict} On test events {self.test.first:.4f} and {self.test.second:.4f}, a difference of "
            f"{result.difference:+.4f} (95 % interval {result.low:+.4f} to {result.high:+.4f})."
        )


def finetune(
    experiment: Experiment,
    runs: Path | str = "runs",
    name: str = "finetuned",
    registry: Registry | None = None,
    display: Display | None = None,
    *,
    is_resumed: bool = False,
) -> Finetuned:
    """Train a pre-trained experiment and its control from scratch, and keep the better under `name`.

    The pre-trained one has the network of the run or base that it starts from. The control has the network of the
    experiment and the last stage alone, with the same data, seed and budget. The better one on validation events gets
    the name; the other stays beside it as `name`-pretrained or `name`-scratch. Raises ConfigError for an experiment
    without pre-training and where one of the names is taken; KeyboardInterrupt, after saving, when it was asked to
    stop: it goes on with `is_resumed`.
    """
    registry, runs = registry or load_plugins(), Path(runs)
    check_run_name(name)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("Two runs are compared here by one process. Train each with 'p5 run' in several.")
    if not is_pretrained(experiment):
        raise ConfigError("This experiment starts from random weights and has one stage. Name a run to start from.")
    names = (f"{name}-pretrained", f"{name}-scratch")
    taken = [path for path in (name, *([] if is_resumed else names)) if (runs / path).exists()]
    if taken:
        raise ConfigError(f"There is a run {runs / taken[0]} already. Choose another name, or resume what was stopped.")
    experiment = experiment.without_probe()  # both are trained as the file says
    pretrained = _finished(with_source_network(experiment, runs, registry), runs, names[0], registry, display)
    control = _finished(without_pretraining(experiment), runs, names[1], registry, display)
    metric = watched_metric(experiment.stages[-1], registry)
    value, other_value = (_on_validation(folder, metric.label) for folder in (pretrained, control))
    test = _on_test(pretrained, control, metric.label, experiment.seed, registry)
    is_better = value > other_value if metric.higher_is_better else value < other_value
    better, other = (pretrained, control) if is_better else (control, pretrained)
    models = (pretrained.experiment().model, control.experiment().model)
    differences = tuple(network_differences(*models))
    os.replace(better.path, runs / name)
    return Finetuned(open_run(runs / name), other, is_better, metric.label, value, other_value, differences, test)


def with_source_network(experiment: Experiment, runs: Path, registry: Registry) -> Experiment:
    """The experiment with the network of the run or base that it starts from, if it starts from one.

    Files of encoders, such as vectors of one's own, are those that the experiment names for the same encoder.
    """
    source = experiment.stages[0].from_run
    if not source:
        return experiment
    options = ModelConfig.model_validate(open_source(source, runs).model)
    update = {name: getattr(options, name) for name in network_options(options)}
    for place in ("encoders", "user_encoders"):
        own = {spec.name: spec for spec in getattr(experiment.model, place)}
        update[place] = [_with_files_of(own.get(spec.name), spec, registry) for spec in update[place]]
    return experiment.model_copy(update={"model": experiment.model.model_copy(update=update)})


def _with_files_of(own: PartSpec | None, spec: PartSpec, registry: Registry) -> PartSpec:
    if spec.name == AUTO.name:
        return spec
    kept, files = without_files(spec, registry).options, {}
    if own is not None:
        others = without_files(own, registry).options
        files = {name: value for name, value in own.options.items() if name not in others}
    return PartSpec.model_validate({"name": spec.name, **kept, **files})


def _finished(experiment: Experiment, runs: Path, name: str, registry: Registry, display: Display | None) -> Run:
    """The finished run of an experiment, trained or gone on with if it is not there yet."""
    if not (runs / name).exists():
        return run(experiment, runs, name, registry, display=display)
    folder = open_run(runs / name)
    if not is_experiment_of(experiment, folder, registry):
        raise ConfigError(f"Run {folder.path} belongs to another experiment. Choose another name, or delete it.")
    return folder if folder.is_sealed() else resume(folder, registry, display)


def _on_validation(folder: Run, label: str) -> float:
    value = folder.metrics().validation["model"].get(label)
    if value is None:
        raise RunError(f"Run {folder.path} has no {label} on validation events. Add it to evaluate.metrics.")
    return value


def _on_test(pretrained: Run, control: Run, label: str, seed: int, registry: Registry) -> Compared | None:
    compared = compare_sides(registry, stored_side(pretrained), stored_side(control), RESAMPLES, seed)
    return next((result for result in compared if result.label == label), None)
