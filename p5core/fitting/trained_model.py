"""A trained network with everything that it serves with, stored in a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from safetensors.torch import load_file

from p5core.contracts.task import Task
from p5core.data.dataset import Dataset
from p5core.data.storage import read_dataset
from p5core.errors import RunError, UnknownPartError
from p5core.evaluation.splitting import split_roles
from p5core.fitting.experiment_data import ExperimentData, join_stages, source_key
from p5core.fitting.format1 import read_blend_1, upgrade_weights
from p5core.model.blend import Blend, read_blend
from p5core.model.build import build_network, serving_tasks
from p5core.model.features import compute_features, read_features
from p5core.model.network import Network
from p5core.model.network_scorer import NetworkScorer
from p5core.plugins.registry import Registry
from p5core.runs.run import Run
from p5core.training.engine import move_for_use

__all__ = ["TrainedModel", "load_model", "load_run_data", "new_network"]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network, the scorers that are blended with it, and the tasks that predict."""

    network: Network
    max_length: int
    blend: Blend | None
    tasks: Sequence[Task]

    def scorer(self) -> NetworkScorer:
        """The model as a scorer of histories."""
        used = self.blend if self.blend is not None and self.blend.is_used else None
        return NetworkScorer(self.network, self.max_length, used, self.tasks)


def new_network(data: ExperimentData, registry: Registry) -> Network:
    """An untrained network for an experiment and its data."""
    target = data.target
    return build_network(data.experiment, registry, target.dataset, target.split.train, data.features)


def load_run_data(folder: Run, registry: Registry) -> ExperimentData:
    """The data of a run as it was prepared and split; raises RunError when some of it is missing.

    An updated run is not trained again and holds the data of its target alone.
    """
    experiment = folder.experiment()
    target = read_dataset(folder.data / "target")
    is_updated = folder.updated_from() is not None
    datasets = [target]
    read: dict[str, Dataset] = {}
    for index, stage in enumerate(experiment.stages):
        for nth, source in enumerate(stage.all_sources):
            path = folder.source_data(index, nth)
            has_own = source.data is not None and not is_updated
            if has_own and not path.exists():
                raise RunError(
                    f"Run {folder.path} lacks its folder data/{path.name}, data of stage '{stage.name}'. Restore it "
                    "from a copy or run again."
                )
            if not has_own:
                datasets.append(target)
                continue
            key = source_key(experiment, source)
            read[key] = read.get(key) or read_dataset(path)
            datasets.append(read[key])
    roles = folder.roles() or [
        split_roles(registry, experiment.split, dataset, experiment.seed, folder.fold()) for dataset in datasets
    ]
    features = (
        read_features(folder.features) if folder.features.exists() else compute_features(experiment, registry, target)
    )
    return join_stages(experiment, datasets, roles, folder.fold(), features)


def load_model(folder: Run, data: ExperimentData, registry: Registry) -> TrainedModel:
    """The trained model of a finished run, on the device that serves best here."""
    try:
        network = new_network(data, registry)
    except UnknownPartError as error:
        raise UnknownPartError(f"{error}{_origins(folder, registry)}") from None
    weights = upgrade_weights(load_file(folder.weights))
    state = network.state_dict()
    # Layers of a task whose plugin is gone are not needed to serve.
    weights = {name: tensor for name, tensor in weights.items() if name in state or not name.startswith("tasks.")}
    network.load_state_dict(weights)
    network.eval()
    move_for_use(network)
    blend = read_blend(folder.path, registry) or read_blend_1(folder, registry, data.target.split.train)
    max_length = data.experiment.model.max_length
    return TrainedModel(network, max_length, blend, serving_tasks(data.experiment, registry))


def _origins(folder: Run, registry: Registry) -> str:
    """Sentences on the distributions that provided parts of a run that are not installed."""
    sentences = []
    for record in folder.info().parts:
        try:
            registry.get(record.kind, record.name)
        except UnknownPartError:
            source = f"'{record.distribution}=={record.version}'"
            sentences.append(f" The {record.kind} '{record.name}' came with it: pip install {source}")
    return ".".join(sentences) + "." if sentences else ""
