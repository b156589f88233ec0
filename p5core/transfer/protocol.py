"""Few users, many users: pre-trained weights beside every rival, each with the same share of a log's users.

FOLDER/
  cells/SHARE-SEED.safetensors   figures of each test user, by every model that was trained on this share
  cells/SHARE-SEED.json          figures on validation events, and the sizes
  table.md, figures.json, figures.png
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from p5core.config.base import PartRef, PartSpec
from p5core.config.document import dump_experiment
from p5core.config.experiment import Experiment
from p5core.contracts.tracker import RunEvent
from p5core.data.columns import USER
from p5core.data.dataset import Events
from p5core.data.ids import ItemIds
from p5core.data.storage import dataset_hash
from p5core.errors import ConfigError, RunError
from p5core.fitting.evaluate import make_evaluator, validation_sample
from p5core.fitting.experiment_data import ExperimentData, gather
from p5core.fitting.fit import blend_with_scorers, fit_all
from p5core.fitting.source import Pretrained, network_differences, open_source, start_from
from p5core.fitting.trained_model import TrainedModel, new_network
from p5core.model.features import FeatureCache
from p5core.plugins.registry import Registry
from p5core.system.files import read_json, write_bytes, write_json
from p5core.training.defaults import baseline_labels, metric_refs, watched_metric
from p5core.training.engine import Engine
from p5core.training.stages import StageData
from p5core.transfer.finetune import with_source_network
from p5core.workflows.compare import without_pretraining

__all__ = ["BLENDED", "PRETRAINED", "SCRATCH", "SHARES", "Cell", "TransferPlan", "measure_transfer", "with_users"]

SHARES = (0.0, 0.01, 0.05, 0.25, 1.0)
"""Shares of users whose events are trained on."""

SCRATCH = "from scratch"
PRETRAINED = "pre-trained"
BLENDED = "blended"

WEIGHTS = "weights of users"
"""Name beside those of the models, for arrays."""


@dataclass(frozen=True)
class TransferPlan:
    """The request of a measurement."""

    experiment: Experiment
    """of the target; its first stage starts from pre-trained weights"""
    folder: Path
    runs: Path
    shares: Sequence[float] = SHARES
    n_seeds: int = 3


@dataclass(frozen=True, eq=False)
class Cell:
    """All models that are trained on one share of the users, with one seed."""

    share: float
    seed: int
    n_users: int
    """users whose events are trained on"""
    validation: Mapping[str, float]
    """model → the watched metric on validation events"""
    test: Mapping[str, Mapping[str, npt.NDArray[np.float64]]]
    """model → metric label → figure of each test user, in the order of their ids"""
    weights: Mapping[str, npt.NDArray[np.float64]]
    """metric label → weight of each test user, where they differ"""


def measure_transfer(plan: TransferPlan, registry: Registry, say: Callable[[str], None]) -> list[Cell]:
    """Measure every cell of a plan, or go on with it; cells that are in its folder are not measured again.

    Raises ConfigError for an experiment without a network or without weights to start from, RunError for a folder that
    holds the figures of something else.
    """
    source_name = plan.experiment.stages[0].from_run
    if plan.experiment.model.scorer is not None or not source_name:
        raise ConfigError("Transfer is measured of a network that starts from a run or a base. Name one with --from.")
    if any(not 0 <= share <= 1 for share in plan.shares) or not plan.shares or plan.n_seeds < 1:
        raise ConfigError("Shares of users lie between 0 and 1, and there is one seed or more.")
    source = open_source(source_name, plan.runs)
    places = [(share, seed) for share in sorted(set(plan.shares)) for seed in range(plan.n_seeds)]
    rivals = _Rivals(plan, source, registry, say)
    rivals.check()
    return [rivals.cell(share, seed, nth, len(places)) for nth, (share, seed) in enumerate(places)]


def _identity(plan: TransferPlan, source: Pretrained, data: ExperimentData) -> str:
    """Hex SHA-256 of all that figures depend on: experiment, weights, data and split."""
    digest = hashlib.sha256(f"{dump_experiment(plan.experiment)}{source.seal_hash()}".encode())
    for part, roles in zip(data.parts, data.roles, strict=True):
        digest.update(dataset_hash(part.dataset).encode())
        digest.update(np.ascontiguousarray(roles).tobytes())
    return digest.hexdigest()


class _Rivals:
    """The models that are measured against each other."""

    def __init__(self, plan: TransferPlan, source: Pretrained, registry: Registry, say: Callable[[str], None]) -> None:
        self.plan, self.source, self.registry, self.say = plan, source, registry, say
        self._data: dict[int, tuple[ExperimentData, ExperimentData]] = {}
        self._about: dict[str, str] = {}

    def data(self, seed: int) -> tuple[ExperimentData, ExperimentData]:
        """The whole data from scratch, and for the network of the source."""
        if seed not in self._data:
            experiment = self.plan.experiment.model_copy(update={"seed": self.plan.experiment.seed + seed})
            own = gather(without_pretraining(experiment), self.registry)
            pretrained = with_source_network(experiment, self.plan.runs, self.registry)
            cache = FeatureCache(base=self.source.features())
            self._data = {seed: (own, gather(pretrained, self.registry, self.source.dataset(), cache=cache))}
        return self._data[seed]

    def check(self) -> None:
        """Refuse what cannot be measured, and a folder with the figures of something else; say how the networks differ.

        Nothing is written.
        """
        own, pretrained = self.data(0)
        watch = watched_metric(own.experiment.stages[-1], self.registry)
        if watch.needs != "ranks":
            raise ConfigError(
                f"Transfer is measured by a figure of each user's ranking, such as ndcg@10; '{watch.label}' is none. "
                "Set stages.0.watch."
            )
        folder = self.plan.folder
        self._about = {"measured": _identity(self.plan, self.source, own)}
        if folder.exists() and any(folder.iterdir()):
            about = folder / "measured.json"
            if not about.exists() or read_json(about) != self._about:
                raise RunError(
                    f"{folder} holds something else: figures of another experiment, of other data or weights, or none. "
                    "Choose another --out."
                )
        differences = network_differences(own.experiment.model, pretrained.experiment.model)
        if differences:
            self.say(f"the pre-trained network is that of {self.source.path}, with another {', '.join(differences)}")
        shared = sorted(set(self.source.domains()) & set(ItemIds.of(own.target.dataset).domains))
        if shared:
            self.say(
                f"warning: {self.source.path} was trained on the catalogue '{shared[0]}' as well, so its figures are "
                "not those of a share of the users"
            )

    def cell(self, share: float, seed: int, nth: int, n_cells: int) -> Cell:
        """One cell, read or measured."""
        path = self.plan.folder / "cells" / f"{share!r}-{seed}.json"
        if not path.exists():
            own, pretrained = (with_users(data, share, seed) for data in self.data(seed))
            n_users = int((np.diff(own.target.split.train.offsets) > 0).sum())
            self.say(f"cell {nth + 1} of {n_cells}: {share:.0%} of the users ({n_users:,}), seed {seed}")
            validation: dict[str, float] = {}
            arrays: dict[str, npt.NDArray[np.float64]] = {}
            for name, data, model in self._models(own, pretrained, share):
                validation[name], figures = self._measure(name, data, model)
                arrays |= figures
                self.say(f"  {name}: {validation[name]:.4f} on validation events")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.plan.folder / "measured.json", self._about)
            write_bytes(path.with_suffix(".safetensors"), save(arrays))
            write_json(path, {"n_users": n_users, "validation": validation})
        return _read_cell(path, share, seed)

    def _models(
        self, own: ExperimentData, pretrained: ExperimentData, share: float
    ) -> Iterator[tuple[str, ExperimentData, TrainedModel]]:
        """Name, data and model of each rival, one after the other."""
        scorers = self._scorers(own, share)
        for name, spec in scorers.items():
            alone = _with_scorers(own, [spec])
            yield name, alone, blend_with_scorers(new_network(alone, self.registry), alone, self.registry, _Quiet())
        blend = [spec for spec in own.experiment.model.blend if share or self._reads_content(spec)]
        if len(blend) > 1:
            mixed = _with_scorers(own, blend)
            yield BLENDED, mixed, blend_with_scorers(new_network(mixed, self.registry), mixed, self.registry, _Quiet())
        for name, data in ((SCRATCH, own), (PRETRAINED, pretrained)):
            chosen = _with_blend(data, blend)
            network = new_network(chosen, self.registry)
            if name == PRETRAINED:
                match = chosen.experiment.stages[0].match
                start_from(network, chosen.target.dataset, self.source, self.registry, match)
            engine = Engine(chosen.experiment.device, chosen.experiment.precision)
            if share:
                with tempfile.TemporaryDirectory(prefix="p5-") as folder:
                    fit_all(Path(folder), chosen, network, self.registry, _Quiet(), engine)
            network.to(engine.device).eval()
            yield name, chosen, blend_with_scorers(network, _with_blend(chosen, []), self.registry, _Quiet())
            if blend:
                yield f"{name}, {BLENDED}", chosen, blend_with_scorers(network, chosen, self.registry, _Quiet())

    def _scorers(self, data: ExperimentData, share: float) -> dict[str, PartSpec]:
        """Name → every scorer that the experiment names, those alone that need no events where there are none."""
        refs: list[PartRef] = [*data.experiment.model.blend, *data.experiment.evaluate.baselines]
        specs = {json.dumps(PartSpec.of(ref).model_dump(), default=str): PartSpec.of(ref) for ref in refs}
        labels = baseline_labels(list(specs.values()))
        return {
            label: spec
            for label, spec in zip(labels, specs.values(), strict=True)
            if share or self._reads_content(spec)
        }

    def _reads_content(self, spec: PartSpec) -> bool:
        return bool(self.registry.get("scorer", spec.name).reads_content)

    def _measure(
        self, name: str, data: ExperimentData, model: TrainedModel
    ) -> tuple[float, dict[str, npt.NDArray[np.float64]]]:
        """The watched metric on validation events, and the arrays of a cell, test users in the order of their ids."""
        experiment, target = data.experiment, data.target
        watch = watched_metric(experiment.stages[-1], self.registry)
        users = validation_sample(target.split.validation, experiment)
        evaluator = make_evaluator(experiment, self.registry, target, [watch.label], users)
        value = evaluator.values(model.scorer())[watch.label]
        refs = [*metric_refs(experiment, self.registry, experiment.stages[-1:]), watch.label]
        on_test = make_evaluator(experiment, self.registry, target, refs, target.split.test)
        order = np.argsort(target.dataset.user_frame[USER].astype("str").to_numpy()[target.split.test.users])
        results = on_test.results(model.scorer())
        figures = {
            f"{name}/{label}": np.asarray(result.values)[order]
            for label, result in results.items()
            if result.values is not None
        }
        weights = {
            f"{WEIGHTS}/{label}": result.weights[order]
            for label, result in results.items()
            if result.weights is not None
        }
        return value, figures | weights


def _read_cell(path: Path, share: float, seed: int) -> Cell:
    """A cell that was measured; `path` is that of its JSON file."""
    from safetensors.numpy import load_file

    about = read_json(path)
    test: dict[str, dict[str, Any]] = {}
    for name, values in load_file(path.with_suffix(".safetensors")).items():
        model, _, label = name.rpartition("/")
        test.setdefault(model, {})[label] = values
    weights = test.pop(WEIGHTS, {})
    return Cell(share, seed, about["n_users"], about["validation"], test, weights)


def with_users(data: ExperimentData, share: float, seed: int) -> ExperimentData:
    """The same data with the training events of a share of the users alone; smaller shares lie within larger ones."""
    target = data.target
    train = target.split.train
    users = np.flatnonzero(np.diff(train.offsets) > 0)
    ids = target.dataset.user_frame[USER].astype("str").to_numpy()[users]
    drawn = np.random.default_rng([seed, 3]).permutation(np.argsort(ids))
    chosen = np.zeros(train.n_users, dtype=np.bool_)
    n_users = max(1, round(share * len(users))) if share else 0
    chosen[users[drawn[:n_users]]] = True
    fewer = StageData(target.dataset, replace(target.split, train=_of_users(train, chosen)))
    stages = [[fewer if source is target else source for source in stage_data] for stage_data in data.stages]
    return replace(data, target=fewer, stages=stages)


def _of_users(events: Events, chosen: npt.NDArray[np.bool_]) -> Events:
    return events if chosen.all() else events.select(chosen[events.users])


def _with_blend(data: ExperimentData, blend: Sequence[PartSpec]) -> ExperimentData:
    model = data.experiment.model.model_copy(update={"blend": list(blend)})
    return replace(data, experiment=data.experiment.model_copy(update={"model": model}))


def _with_scorers(data: ExperimentData, specs: Sequence[PartSpec]) -> ExperimentData:
    """The same data for a model of scorers alone."""
    model = data.experiment.model.model_copy(update={"scorer": specs[0], "blend": list(specs[1:])})
    return replace(data, experiment=data.experiment.model_copy(update={"model": model}))


class _Quiet:
    """Takes what is said while one of many models is trained, and keeps nothing."""

    def event(self, event: RunEvent) -> None:
        """Keep nothing."""

    def say(self, text: str) -> None:
        """Keep nothing."""

    def working(self) -> None:
        """Nobody looks at a single model."""

    def stop_requested(self) -> bool:
        """A cell is interrupted at once: nothing of it is kept."""
        return False
