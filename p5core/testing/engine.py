"""A part inside the real engine: trained, stopped, resumed, evaluated and exported on the kit's world."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from p5core.config.document import parse_experiment
from p5core.contracts.encoder import RowLabels
from p5core.contracts.loader import Loader
from p5core.contracts.loss import ProbabilityLoss
from p5core.contracts.task import FollowingTask, Output, SolvedTask, Task, TaskInfo, TaskNetwork
from p5core.contracts.tracker import RunEvent, ValidationEvent
from p5core.data.batch import Batch
from p5core.data.columns import ITEM, RATING, TIMESTAMP, USER
from p5core.data.raw import RawData
from p5core.errors import ConfigError, P5Error
from p5core.plugins.discovery import with_plugin
from p5core.plugins.hookspecs import hookimpl
from p5core.runs.run import Run
from p5core.testing.world import World
from p5core.workflows.train import resume, run

if TYPE_CHECKING:
    from p5core.config.experiment import Experiment
    from p5core.plugins.registry import Registry
    from p5core.testing.subject import Check, Subject

__all__ = [
    "ENGINE_CHECKS",
    "EXPORT_CHECKS",
    "LABEL",
    "LabelHead",
    "LabelTask",
    "WorldLoader",
    "experiment_with",
    "kit_registry",
]

LABEL = "label"
"""Field of the kit's events with 0 or 1, for tasks that predict a probability."""


BEGIN = 1_600_000_000_000_000
"""Microseconds since 1970 at which the events of the world begin: a log has no event at 0."""


class WorldLoader(Loader):
    """The events and items of the kit's world."""

    name = "kit_world"
    path_option = None
    world: ClassVar[World]

    def load(self) -> RawData:
        """As tables, with all fields of the events."""
        world, events = self.world, self.world.events
        frame = pd.DataFrame(
            {
                USER: [f"user {code}" for code in events.users],
                ITEM: world.catalogue.decode(events.items),
                TIMESTAMP: BEGIN + events.times,
                **events.fields,
            }
        )
        items = world.catalogue.frame.drop(columns="domain")
        return RawData(frame, items=items, users=world.users.frame, source="the kit's world", time_unit="us")


class LabelHead(nn.Module):
    """A bias an item beside the affinity of state and item."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.bias = nn.Embedding(n_items, 1)

    def forward(self, states: Tensor, vectors: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """(N,) logits."""
        bias = self.bias(items.clamp_min(0)).squeeze(-1) * (items >= 0)
        logits: Tensor = bias + (states * vectors).sum(dim=-1)
        return logits


class LabelTask(FollowingTask):
    """Predict the label of the following event."""

    name = "kit_label"
    loss_kind = "probability"
    outputs: ClassVar[Mapping[str, Output]] = {"labels": Output("probability", LABEL)}
    metrics = ("ndcg@10",)
    fields = (LABEL,)

    loss_function: ProbabilityLoss

    def layers(self, info: TaskInfo) -> nn.Module:
        """The head."""
        return LabelHead(info.n_items)

    def row_labels(self) -> Mapping[str, RowLabels]:
        """One bias an item."""
        return {"bias.weight": "item"}

    def loss(self, network: TaskNetwork, batch: Batch) -> Tensor:
        """The loss of the logits."""
        targets = self.targets(network, batch)
        vectors = network.items.vectors(targets.items)
        logits = network.task_layers[self.name](targets.states, vectors, targets.users, targets.items)
        return self.loss_function(logits, targets.fields[LABEL])

    def predict(
        self, layers: nn.Module, output: str, states: Tensor, vectors: Tensor, users: Tensor, items: Tensor
    ) -> Tensor:
        """Probabilities."""
        return torch.sigmoid(layers(states, vectors, users, items))


class _KitPlugin:
    """Brings the parts above, with the world of a subject."""

    def __init__(self, world: World) -> None:
        described = {"world": world.with_fields({LABEL: "probability"}), "__doc__": WorldLoader.__doc__}
        self._loader = type("KitLoader", (WorldLoader,), described)

    @hookimpl
    def p5_loaders(self) -> list[type[Loader]]:
        return [self._loader]

    @hookimpl
    def p5_tasks(self) -> list[type[Task]]:
        return [LabelTask]


class _StopAtFirstValidation:
    """A display that asks the run to stop after its first validation."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def show(self, event: RunEvent) -> None:
        if isinstance(event, ValidationEvent):
            (self._folder / "stop").touch()

    def say(self, text: str) -> None:
        return


def experiment_with(subject: Subject, epochs: int = 3) -> Experiment:
    """The smallest experiment that uses the part, the default parts beside it; raises AssertionError for its kind."""
    spec = {"name": subject.name, **subject.options}
    fields = sorted({LABEL, *subject.world.events.fields} - {RATING})
    tree: dict[str, Any] = {
        "data": {"name": WorldLoader.name},
        "prepare": {"min_user_events": 1, "keep": "all", "fields": fields},
        "model": {"width": 8, "max_length": 6, "dropout": 0.0},
        "stages": [{"epochs": epochs, "token_budget": 12, "tasks": [{"name": "auto"}]}],
        "evaluate": {"resamples": 0},
        "precision": "32-true",
        "device": "cpu",
    }
    _put_in(tree, subject, spec)
    return parse_experiment(tree)


def _put_in(tree: dict[str, Any], subject: Subject, spec: Mapping[str, Any]) -> None:
    kind, part = subject.kind, subject.part
    if kind == "backbone":
        tree["model"]["backbone"] = spec
    elif kind == "encoder":
        if "item" in part.encodes:
            tree["model"]["encoders"] = [spec]
        else:
            tree["model"] |= {"user_encoders": [spec], "backbone": {"name": _user_backbone(subject)}}
    elif kind == "task":
        tree["stages"][0]["tasks"] = [spec]
        tree["model"]["backbone"] = {"name": _suitable_backbone(subject)}
    elif kind == "loss":
        tasks = kit_registry(subject).parts("task")
        ours = {name: info for name, info in tasks.items() if info.is_built_in or info.part is LabelTask}
        suits = [name for name, info in ours.items() if _takes(info.part, part.kind)]
        assert suits, f"No built-in task takes losses of kind '{part.kind}'."
        tree["stages"][0]["tasks"] = [{"name": suits[0], "loss": spec}]
    elif kind == "tracker":
        tree["trackers"] = [spec]
    elif kind == "scorer":
        tree["evaluate"]["baselines"] = [spec]
    else:
        raise AssertionError(f"A {kind} is not trained with.")


def _takes(task: type[Any], kind: str) -> bool:
    """True if a task is trained by losses of a kind."""
    return getattr(task, "loss_kind", "") == kind and not issubclass(task, SolvedTask)


def _suitable_backbone(subject: Subject) -> str:
    """The first of the built-in backbones that suits a task; "auto" if the default one does."""
    default = subject.registry.defaults("backbone")[0]
    built_in = [info for info in subject.registry.parts("backbone").values() if info.is_built_in]
    for info in [default, *built_in]:
        with suppress(ConfigError):
            subject.part.check(info.part, subject.world.events)
            return "auto" if info is default else str(info.part.name)
    return "auto"


def _user_backbone(subject: Subject) -> str:
    """A built-in backbone that reads vectors of users."""
    parts: dict[str, Any] = {
        name: info.part for name, info in subject.registry.parts("backbone").items() if info.is_built_in
    }
    return next(name for name, part in parts.items() if not part.uses_history)


@contextmanager
def _workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="p5-kit-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def kit_registry(subject: Subject) -> Registry:
    """The registry of a part with the loader of the kit's world."""
    return with_plugin(subject.registry, "kit", _KitPlugin(subject.world))


def _run(subject: Subject, folder: Path, name: str, epochs: int = 3) -> Run:
    """Train with the part; a refusal or fault is an AssertionError with its sentence."""
    try:
        return run(experiment_with(subject, epochs), folder, name, kit_registry(subject))
    except P5Error as error:
        raise AssertionError(f"Training with it fails: {error}") from error


def trains_in_the_real_engine(subject: Subject) -> None:
    """A run with the part trains, evaluates and seals; layers of its own are changed by training and stored."""
    with _workplace() as folder:
        finished = _run(subject, folder, "whole")
        finished.verify()
        if subject.kind == "task":
            _assert_own_layers_learn(subject, finished)


def _assert_own_layers_learn(subject: Subject, finished: Run) -> None:
    from p5core.fitting.trained_model import load_run_data, new_network

    registry, begin = kit_registry(subject), f"tasks.{subject.part.name}."
    before = new_network(load_run_data(finished, registry), registry).state_dict()
    after = load_file(finished.weights)
    own = [name for name in before if name.startswith(begin)]
    lost = [name for name in own if name not in after]
    assert not lost, f"The layer '{lost[0] if lost else ''}' of the task is not stored."
    trained = [name for name in own if before[name].is_floating_point()]
    moved = [name for name in trained if not torch.equal(before[name], after[name])]
    assert moved or not trained, "Training changes none of the task's own layers; does `loss` use them?"


def a_stopped_run_goes_on_exactly(subject: Subject) -> None:
    """A run that is stopped and resumed ends with the weights of one that was not."""
    with _workplace() as folder:
        whole = load_file(_run(subject, folder, "whole").weights)
        stopped = folder / "stopped"
        try:
            run(
                experiment_with(subject),
                folder,
                "stopped",
                kit_registry(subject),
                None,
                _StopAtFirstValidation(stopped),
            )
        except KeyboardInterrupt:
            resume(Run(stopped), kit_registry(subject))
        _assert_equal(load_file(Run(stopped).weights), whole)


def _assert_equal(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert weights.keys() == expected.keys(), "A resumed run stores other weights."
    differs = [name for name, value in expected.items() if not torch.equal(weights[name], value)]
    assert not differs, f"After a stop and resume, '{differs[0] if differs else ''}' differs from an uninterrupted run."


def an_export_equals_the_network(subject: Subject) -> None:
    """A run with the part is exported, and ONNX Runtime gives the scores and predictions of the network."""
    export_run = import_module("p5export.export").export_run
    with _workplace() as folder:
        finished = _run(subject, folder, "whole", epochs=1)
        try:
            export_run(finished, folder / "export", kit_registry(subject), say=lambda _: None)
        except P5Error as error:
            raise AssertionError(f"It cannot be exported: {error}") from error


ENGINE_CHECKS: tuple[Check, ...] = (trains_in_the_real_engine, a_stopped_run_goes_on_exactly)

EXPORT_CHECKS: tuple[Check, ...] = (an_export_equals_the_network,)
"""For parts that an exported model is made of."""
