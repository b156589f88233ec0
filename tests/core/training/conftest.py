"""A small made-up log, and ways to train on it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.contracts.task import Task, TrainingData
from p5core.contracts.tracker import RunEvent
from p5core.data.catalogue import Users
from p5core.evaluation.evaluator import Evaluator
from p5core.evaluation.item_statistics import item_statistics
from p5core.evaluation.metric_results import choose_metrics
from p5core.fitting.experiment_data import ExperimentData, gather
from p5core.model.build import build_network
from p5core.model.features import compute_features
from p5core.model.network import Network
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.training.checkpoint import Progress
from p5core.training.defaults import name_defaults, resolve
from p5core.training.engine import Engine
from p5core.training.loop import Stage, StopRequestedError, train_stage
from p5core.training.sources import Sources
from p5core.training.stages import StageEvaluator, fit, make_tasks

SMALL = """
[data]
name = "synthetic"
n_users = 40
n_items = 30
n_events = 500
n_clusters = 6
ratings = true

[model]
width = 8
max_length = 12
dropout = 0.2
backbone = { name = "bert", n_layers = 1 }

[[stages]]
name = "pretrain"
tasks = [{ name = "masked_item" }]
epochs = 2
token_budget = 200

[[stages]]
name = "finetune"
tasks = [{ name = "next_item", loss = { name = "sampled_softmax", n_uniform = 8 } }]
epochs = 2
token_budget = 200
"""


@dataclass
class Recorder:
    """Keeps what it is told, and asks to stop when it is asked for the `stop_at`-th time."""

    stop_at: int = 0
    n_asked: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def event(self, event: RunEvent) -> None:
        self.events.append(event.to_dict())

    def stop_requested(self) -> bool:
        self.n_asked += 1
        return self.n_asked == self.stop_at

    def kinds(self) -> list[str]:
        return [one["kind"] for one in self.events]


@dataclass(frozen=True)
class Trainer:
    """Trains experiments on one log, prepared once."""

    registry: Registry
    materials: ExperimentData

    def experiment(self, changes: str = "") -> Experiment:
        """The small experiment, with sections of a TOML text in the place of its own."""
        return parse_experiment({**tomllib.loads(SMALL), **tomllib.loads(changes)})

    def resolved(self, experiment: Experiment) -> Experiment:
        """The experiment with every choice made."""
        named = name_defaults(experiment, self.registry)
        return resolve(named, self.registry, self.materials.target.dataset)[0]

    def network(self, experiment: Experiment) -> Network:
        target, chosen = self.materials.target, self.resolved(experiment)
        features = compute_features(chosen, self.registry, target.dataset)
        return build_network(chosen, self.registry, target.dataset, target.split.train, features)

    def fit(self, experiment: Experiment, folder: Path, follower: Recorder | None = None) -> dict[str, Tensor]:
        """Train all stages, or go on with them; returns the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        target = self.materials.target
        metrics = choose_metrics(self.registry, ["hr@10", "ndcg@10"])
        statistics = item_statistics(target.split.train, target.dataset.n_items)
        evaluator = Evaluator(
            target.split.validation, statistics, metrics, experiment.evaluate, None, experiment.model.max_length, {}, 0
        )
        chosen = self.resolved(experiment)
        n = len(chosen.stages)
        evaluators = [StageEvaluator([evaluator], metrics[-1], [])] * n
        engine = Engine("cpu", chosen.precision)
        network = self.network(experiment)
        stages = [[target]] * n
        fit(network, chosen, self.registry, target, stages, evaluators, folder, follower or Recorder(), engine)
        return network.state_dict()

    def fit_until(self, experiment: Experiment, folder: Path, stop_at: int) -> None:
        """Train until the follower is asked for the `stop_at`-th time."""
        with pytest.raises(StopRequestedError):
            self.fit(experiment, folder, Recorder(stop_at))

    def stage(
        self, experiment: Experiment, folder: Path, validate: Callable[[Network], float], **changes: Any
    ) -> Stage:
        """The first stage of an experiment, measured by `validate`."""
        config = self.resolved(experiment).stages[0]
        backbone = self.registry.get("backbone", experiment.model.backbone.name)
        target = self.materials.target
        of_data = (target.dataset.catalogue, Users(target.dataset.user_frame))
        length, budget = experiment.model.max_length, config.token_budget
        data = TrainingData(target.split.train, backbone, length, budget, *of_data)
        made = Stage(
            index=0,
            config=config,
            tasks=make_tasks(0, config, self.registry),
            sources=Sources([data], [1.0], 1.0),
            validate=lambda network: {"value": validate(network)},
            watch="value",
            higher_is_better=True,
            seed=0,
            folder=folder,
        )
        return replace(made, **changes)

    def run(self, network: Network, stage: Stage, precision: str = "32-true") -> tuple[Progress, Recorder]:
        """Train one stage from its beginning."""
        follower = Recorder()
        return train_stage(network, stage, Engine("cpu", precision), follower, Progress()), follower

    def tasks(self, experiment: Experiment) -> Sequence[Task]:
        """The tasks of the first stage."""
        return make_tasks(0, self.resolved(experiment).stages[0], self.registry)


@pytest.fixture(scope="session")
def trainer() -> Trainer:
    registry = load_plugins()
    return Trainer(registry, gather(parse_experiment(tomllib.loads(SMALL)), registry))


@pytest.fixture(scope="session")
def recorder() -> type[Recorder]:
    return Recorder
