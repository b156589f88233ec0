"""From an experiment to a base: pre-trained weights that can be given away."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file
from torch import Tensor

from p5core.config.base import AUTO, PartSpec
from p5core.config.experiment import Experiment
from p5core.contracts.encoder import Features, RowLabels
from p5core.data.columns import DOMAIN, ITEM, TITLE
from p5core.data.dataset import Dataset
from p5core.errors import ConfigError, RunError
from p5core.fitting.experiment_data import ExperimentData
from p5core.fitting.source import network_options, without_files
from p5core.fitting.trained_model import load_run_data, new_network
from p5core.model.features import read_features, write_shared
from p5core.model.warm_start import COUNTS, TASKS
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.base import BASE_FORMAT, Base, BaseInfo, TrainedOn
from p5core.runs.create import open_run
from p5core.runs.logger import Display
from p5core.runs.names import check_run_name
from p5core.runs.run import Run
from p5core.system.files import write_json, write_tensors, write_text
from p5core.system.folders import hidden_path, remove_leftovers
from p5core.transfer.card import base_card
from p5core.workflows.train import is_experiment_of, resume, run

__all__ = ["pretrain", "write_base"]


def pretrain(
    experiment: Experiment,
    base: Path,
    runs: Path | str = "runs",
    name: str = "pretrained",
    registry: Registry | None = None,
    display: Display | None = None,
    *,
    licence: str = "",
    keep_items: bool = False,
) -> Base:
    """Train an experiment as the run `name`, or go on with it, and write its network to the folder `base`.

    Raises ConfigError and RunError for names that are taken and for an experiment without a network;
    KeyboardInterrupt, after saving, when it was asked to stop.
    """
    registry, runs = registry or load_plugins(), Path(runs)
    check_run_name(name)
    _refuse_existing(base)
    if experiment.model.scorer is not None:
        raise ConfigError(f"model.scorer = '{experiment.model.scorer.name}' is the whole model: there is no network.")
    if not (runs / name).exists():
        return write_base(run(experiment, runs, name, registry, display=display), base, registry, licence, keep_items)
    folder = open_run(runs / name)
    if not is_experiment_of(experiment, folder, registry):
        raise ConfigError(f"Run {folder.path} belongs to another experiment. Choose another name, or delete it.")
    finished = folder if folder.is_sealed() else resume(folder, registry, display)
    return write_base(finished, base, registry, licence, keep_items)


def write_base(run: Run, path: Path, registry: Registry, licence: str = "", keep_items: bool = False) -> Base:
    """Write the network of a finished run as a base; raises RunError where something is in the way.

    No event, no user and, unless `keep_items`, no item is in it.
    """
    _refuse_existing(path)
    run.verify()
    data = load_run_data(run, registry)
    target = data.target.dataset
    labels = new_network(data, registry).row_labels()
    remove_leftovers(path.parent)
    hidden = hidden_path(path)
    base = Base(hidden)
    try:
        hidden.mkdir(parents=True)
        write_tensors(base.weights, _shared_weights(load_file(run.weights), labels, keep_items=keep_items))
        features = read_features(run.features)
        write_shared(base.features, data.experiment, registry, features)
        if keep_items:
            base.items.write_bytes(_items(target).to_parquet(index=False))
        info = _info(run, data, features, labels, licence, registry, keep_items=keep_items)
        write_json(base.path / "base.json", info.model_dump(mode="json"))
        write_text(base.path / "README.md", base_card(info, path.name))
        base.seal()
        _refuse_existing(path)
        hidden.rename(path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return Base(path)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise RunError(f"{path} exists. Choose another folder for the base, or delete it first.")


def _shared_weights(
    weights: Mapping[str, Tensor], labels: Mapping[str, RowLabels], *, keep_items: bool
) -> dict[str, Tensor]:
    """The weights; of tensors with a row for each user, or each item that is not kept, the mean row alone.

    Layers of tasks are left out: they serve the items and users of this run.
    """
    reduced = {"user"} if keep_items else {"user", "item"}
    shared = {}
    for name, tensor in weights.items():
        if name == COUNTS or name.startswith(TASKS):
            continue
        is_reduced = isinstance(labels.get(name), str) and labels[name] in reduced
        mean = tensor.float().mean(dim=0, keepdim=True) if is_reduced and len(tensor) else tensor
        shared[name] = mean.to(tensor.dtype).contiguous()
    return shared


def _items(dataset: Dataset) -> pd.DataFrame:
    frame = dataset.catalogue.frame
    return frame[[column for column in (ITEM, DOMAIN, TITLE) if column in frame]]


def _info(
    run: Run,
    data: ExperimentData,
    features: Mapping[str, Features],
    labels: Mapping[str, RowLabels],
    licence: str,
    registry: Registry,
    *,
    keep_items: bool,
) -> BaseInfo:
    model = network_options(data.experiment.model)
    for place in ("encoders", "user_encoders"):
        specs = [PartSpec.model_validate(spec) for spec in model[place]]
        kept = [spec if spec.name == AUTO.name else without_files(spec, registry) for spec in specs]
        model[place] = [spec.model_dump(mode="json") for spec in kept]
    return BaseInfo(
        format=BASE_FORMAT,
        p5=version("p5rec"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run=run.name,
        model=model,
        parts=[record for record in run.info().parts if record.kind in ("encoder", "backbone", "task")],
        trained_on=_trained_on(data),
        licence=licence,
        features={place: dict(each.about) for place, each in features.items() if each.about},
        metrics={name: value for name, value in run.metrics().validation["model"].items() if value is not None},
        row_labels={name: rows if isinstance(rows, str) else list(rows) for name, rows in labels.items()},
        keeps_items=keep_items,
    )


def _trained_on(data: ExperimentData) -> list[TrainedOn]:
    """The sources of each stage in numbers."""
    records = []
    for stage, stage_data in zip(data.experiment.stages, data.stages, strict=True):
        for source in stage_data:
            dataset, train = source.dataset, source.split.train
            domains = [dataset.catalogue.domains[code] for code in sorted(set(dataset.event_domains.tolist()))]
            users, items = int((train.offsets[1:] > train.offsets[:-1]).sum()), len(set(train.items.tolist()))
            records.append(TrainedOn(stage=stage.name, domains=domains, users=users, items=items, events=len(train)))
    return records
