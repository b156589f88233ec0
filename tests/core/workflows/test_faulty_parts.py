"""Parts that break their promises in a run: a sentence before training, or a run that ends without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from support import SMALL, experiment_of
from torch import Tensor, nn

import p5core
from p5core.contracts.part import Part
from p5core.errors import ConfigError, DataError, PluginError, UnknownPartError
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.registry import Registry
from p5core.workflows.recommend import Recommender
from p5core.workflows.train import plan_run
from p5export.export import export_run


class Temperature(p5core.FollowingTask):
    """Holds a parameter outside of its layers."""

    name = "temperature"
    metrics = ("hr@10",)

    def __init__(self, config: Any, loss: Any) -> None:
        super().__init__(config, loss)
        self.gain = nn.Parameter(torch.ones(1))

    def loss(self, network: p5core.TaskNetwork, batch: p5core.Batch) -> Tensor:
        targets = self.targets(network, batch)
        return cast(Tensor, self.loss_function(targets.states * self.gain, targets.items, network.items))


class Scaled(p5core.RankingLoss):
    """Holds a parameter, and no loss is trained."""

    name = "scaled"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.head = nn.Linear(1, 1)

    def __call__(self, states: Tensor, targets: Tensor, candidates: p5core.Candidates) -> Tensor:
        return states.square().mean()


class Width(p5core.Config):
    """Options of the task with layers."""

    hidden: int = 4
    """Width of the head."""


class Headed(Temperature):
    """Has layers by its options."""

    name = "headed"
    Config = Width

    def __init__(self, config: Any, loss: Any) -> None:
        p5core.FollowingTask.__init__(self, config, loss)

    def layers(self, info: p5core.TaskInfo) -> nn.Module:
        return nn.Linear(info.width, self.config.hidden)


class Listed(Headed):
    """Returns something else than a module."""

    name = "listed"

    def layers(self, info: p5core.TaskInfo) -> Any:
        return [nn.Linear(1, 1)]


class Unsaved(p5core.Scorer):
    """Cannot be stored."""

    name = "unsaved"

    def fit(self, events: p5core.Events, catalogue: p5core.Catalogue) -> None:
        self.n_items = len(catalogue)

    def scores(self, users: Any, histories: Any) -> Any:
        return np.zeros((len(users), self.n_items), dtype=np.float32)


class Offline(p5core.Tracker):
    """Reaches nobody."""

    name = "offline"
    calls = 0

    def log(self, event: p5core.RunEvent) -> None:
        type(self).calls += 1
        raise OSError("no network")


class Odd(p5core.Metric):
    """Reads lists of no length."""

    name = "odd"
    needs = "lists"
    depth = -3  # type: ignore[assignment]

    def values(self, result: p5core.EvalResult) -> Any:
        return np.ones(len(result.ranks.n_targets)) if result.ranks else np.ones(1)


class Even(Odd):
    """Says the number of targets."""

    name = "even"
    needs = "ranks"


class Reader(p5core.Encoder):
    """Reads a file that is not there."""

    name = "reader"

    @classmethod
    def features(cls, config: Any, entities: Any) -> p5core.Features:
        Path("/nowhere/vectors.npy").read_bytes()
        raise AssertionError

    def forward(self, codes: Tensor) -> Tensor:
        return codes


PARTS: dict[str, list[type[Part]]] = {
    "p5_tasks": [Temperature, Headed, Listed],
    "p5_losses": [Scaled],
    "p5_scorers": [Unsaved],
    "p5_trackers": [Offline],
    "p5_metrics": [Odd, Even],
    "p5_encoders": [Reader],
}


def brings(hook: str, parts: list[type[Part]]) -> Callable[[], list[type[Part]]]:
    def hook_of_a_plugin() -> list[type[Part]]:
        return parts

    hook_of_a_plugin.__name__ = hook
    return cast("Callable[[], list[type[Part]]]", hookimpl(hook_of_a_plugin))


class Plugin:
    """Brings all of them."""

    def __init__(self) -> None:
        for hook, parts in PARTS.items():
            setattr(self, hook, brings(hook, parts))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins([("faulty", Plugin())])


@pytest.mark.parametrize(
    ("assignments", "kind", "sentence"),
    [
        (["stages.0.tasks=[{name='temperature'}]"], PluginError, "Task 'temperature' has the parameter `gain`"),
        (["stages.0.tasks.0.loss={name='scaled'}"], PluginError, "Loss 'scaled' has the parameter `head`"),
        (
            ["stages.0.tasks=[{name='headed'}, {name='headed', hidden=8}]"],
            ConfigError,
            "'headed' has layers of its own",
        ),
        (["stages.0.tasks=[{name='listed'}]"], PluginError, "Task 'listed': `layers` returned \\[Linear"),
        (["model.blend=[{name='unsaved'}]"], ConfigError, "model.blend.0: scorer 'unsaved' defines no `state`"),
        (["evaluate.metrics=['odd']"], ConfigError, "Metric 'odd' reads lists of length -3"),
        (
            ["model.encoders=[{name='reader'}]"],
            DataError,
            "model.encoders.0: the encoder 'reader' cannot read its files",
        ),
    ],
)
def test_it_is_said_before_training(
    assignments: list[str], kind: type[Exception], sentence: str, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=sentence):
        plan_run(experiment_of(SMALL, *assignments), tmp_path, registry)
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_fails_costs_no_run(registry: Registry, tmp_path: Path) -> None:
    Offline.calls = 0
    run = p5core.run(experiment_of(SMALL, "trackers=[{name='offline'}, {name='csv'}]"), tmp_path, "run", registry)
    assert run.state() == "done"
    assert "Tracker 'offline' failed and is left out: OSError: no network" in (run.path / "log.txt").read_text()
    assert Offline.calls == 1
    assert len((run.path / "events.csv").read_text().splitlines()) > 2, "the others go on"


def test_a_run_is_used_without_the_plugin_that_measured_it(registry: Registry, tmp_path: Path) -> None:
    run = p5core.run(experiment_of(SMALL, "evaluate.metrics=['even', 'hr@10']"), tmp_path, "run", registry)
    said: list[str] = []
    exported = export_run(run, tmp_path / "export", load_plugins(), say=said.append)
    assert any("Left out: Unknown metric 'even'" in sentence for sentence in said)
    assert exported.manifest["parity"]["users_measured"] == 60


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    class Mean(p5core.Backbone):
        """Repeats its input."""

        name = "mean"
        causal = True

        def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
            return vectors

    class Brings:
        @hookimpl
        def p5_backbones(self) -> list[type[Part]]:
            return [Mean]

    registry = load_plugins([("mine", Brings())])
    run = p5core.run(experiment_of(SMALL, "model.backbone={name='mean'}"), tmp_path, "run", registry)
    [record] = [part for part in run.info().parts if part.name == "mean"]
    came = f"The backbone 'mean' came with it: pip install '{record.distribution}=={record.version}'"
    with pytest.raises(UnknownPartError, match=came):
        Recommender.load(run.path, load_plugins())
