"""The Bayesian factorisation machine: what its samples and their mean are, beside the conformance kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from support import SMALL, experiment_of

import p5core
from p5core.config.experiment import Experiment
from p5core.contracts.task import TaskInfo, TrainingData
from p5core.data.catalogue import Catalogue, Users
from p5core.data.dataset import Events
from p5core.errors import ConfigError
from p5core.model.item_embeddings import EntityEmbeddings, ItemEmbeddings
from p5core.model.network import Network
from p5core.testing.world import toy_world
from p5plugins.backbones.mf import MF, MFConfig
from p5plugins.encoders.id import IdEmbedding
from p5plugins.tasks import bayesian_fm as module
from p5plugins.tasks.attributes import design_of, rated_items
from p5plugins.tasks.bayesian_fm import BayesianFM, BayesianFMConfig, BayesianHead
from p5plugins.tasks.gibbs import Design, Side, _solved

N_USERS, N_ITEMS = 60, 40
NOISE = 0.3


def two_tastes(seed: int = 0) -> tuple[Events, Catalogue, Users]:
    """Ratings of a model of rank 2 with noise; items of one kind are rated alike."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(N_ITEMS) % 4
    tastes, kind_vectors = rng.normal(0, 1, (N_USERS, 2)), rng.normal(0, 1, (4, 2))
    whole = 3 + tastes @ kind_vectors[kinds].T + rng.normal(0, NOISE, (N_USERS, N_ITEMS))
    shown = rng.random((N_USERS, N_ITEMS)) < 0.5
    users, items = np.nonzero(shown)
    offsets = np.concatenate([[0], np.cumsum(shown.sum(axis=1))]).astype(np.int64)
    fields = {"rating": whole[users, items].astype(np.float32)}
    events = Events(offsets, items.astype(np.int32), np.arange(len(items), dtype=np.int64), fields)
    frame = pd.DataFrame({"item": range(N_ITEMS), "domain": "default", "kind": [f"k{kind}" for kind in kinds]})
    return events, Catalogue(frame), Users(pd.DataFrame({"user": range(N_USERS)}))


def fitted(n_epochs: int, seed: int = 0, **options: Any) -> tuple[BayesianFM, Network, TrainingData, BayesianHead]:
    events, catalogue, users = two_tastes()
    task = BayesianFM(BayesianFMConfig(**{"rank": 2, "burn_in": 20, **options}), None)  # type: ignore[arg-type]
    torch.manual_seed(seed)
    width = 2 * 10 + 1
    rows = [IdEmbedding.features(None, entities) for entities in (catalogue, users)]
    item_encoder, user_encoder = (IdEmbedding(None, features, width) for features in rows)
    network = Network(
        ItemEmbeddings([item_encoder]), MF(MFConfig(), width, 5), 0.0, EntityEmbeddings([user_encoder])
    ).eval()
    info = TaskInfo(width, N_ITEMS, N_USERS, MF, events, catalogue, users)
    network.add_task(task.name, task.layers(info), task.row_labels())
    data = TrainingData(events, MF, 5, 1000, catalogue, users)
    for epoch in range(n_epochs):
        task.update(network, data, epoch, n_epochs, np.random.default_rng([seed, epoch]))
    head = network.task_layers[task.name]
    assert isinstance(head, BayesianHead)
    return task, network, data, head


def predicted(network: Network, head: BayesianHead, users: Any, items: Any) -> Any:
    user_codes, item_codes = torch.as_tensor(users), torch.as_tensor(items)
    with torch.no_grad():
        assert network.users is not None
        return head(network.users.encode(user_codes), network.items.vectors(item_codes), user_codes, item_codes).numpy()


def test_ratings_that_were_not_shown_are_predicted_up_to_their_noise() -> None:
    _, network, data, head = fitted(120)
    rng = np.random.default_rng(0)
    kinds = np.arange(N_ITEMS) % 4
    tastes, kind_vectors = rng.normal(0, 1, (N_USERS, 2)), rng.normal(0, 1, (4, 2))
    users, items = np.divmod(np.arange(N_USERS * N_ITEMS), N_ITEMS)
    truth = (3 + tastes @ kind_vectors[kinds].T)[users, items]
    shown = np.zeros((N_USERS, N_ITEMS), dtype=bool)
    shown[data.events.users, data.events.items] = True
    hidden = ~shown[users, items]
    errors = predicted(network, head, users, items)[hidden] - truth[hidden]
    assert np.sqrt((errors**2).mean()) < NOISE
    assert truth[hidden].std() > 1


def test_the_prediction_is_the_mean_of_the_kept_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    original = BayesianHead.keep

    def keep(head: BayesianHead, user_table: Any, item_table: Any, users: Any, items: Any) -> None:
        original(head, user_table, item_table, users, items)
        kept.append((float(head.offset), users.copy(), items.copy()))

    monkeypatch.setattr(BayesianHead, "keep", keep)
    _, network, _, head = fitted(60)
    head.lowest.fill_(-torch.inf)
    head.highest.fill_(torch.inf)
    samples = kept[-int(head.n_kept) :]
    assert len(samples) == 10
    users, items = np.divmod(np.arange(N_USERS * N_ITEMS), N_ITEMS)
    each = [
        offset + u[-1][users] + i[-1][items] + (u[:-1, users] * i[:-1, items]).sum(axis=0) for offset, u, i in samples
    ]
    assert predicted(network, head, users, items) == pytest.approx(np.mean(each, axis=0), abs=1e-4)


def test_unknown_users_and_items_get_what_is_known_of_the_other() -> None:
    _, network, _, head = fitted(30)
    network.requires_grad_(False)
    nothing, unknown = torch.zeros(1, 21), torch.tensor([-1])
    code = torch.tensor([7])
    of_item = head(nothing, network.items.vectors(code), unknown, code)
    assert of_item.item() == pytest.approx(float(head.mean + head.item_bias.weight[7, 0]), abs=1e-5)
    assert head(nothing, nothing, unknown, unknown).item() == pytest.approx(float(head.mean), abs=1e-5)


def test_an_item_without_ratings_leans_on_its_attributes() -> None:
    _, catalogue, _ = two_tastes()
    design = design_of(catalogue, "all", None)
    assert design.table.shape == (N_ITEMS, 4)
    rng = np.random.default_rng(0)
    side = Side(design, np.zeros((1, N_ITEMS)), np.zeros((1, 4)), np.zeros(1))
    precisions = np.full(N_ITEMS, 50.0)
    precisions[0] = 0.0  # nobody rated it
    means = np.where(np.arange(N_ITEMS) % 4 == 0, 2.0, -2.0)
    drawn = np.mean([side.draw(0, precisions, precisions * means, rng) for _ in range(400)][100:], axis=0)
    assert drawn[0] == pytest.approx(2.0, abs=0.5)


def test_perturbed_systems_are_solved() -> None:
    rng = np.random.default_rng(0)
    table = csr_array((rng.random((30, 12)) < 0.3) * 1.0)
    design = Design(table, np.zeros(12, dtype=np.int64))
    told, priors, right = rng.random(30), rng.random(12) + 0.1, rng.normal(size=12)
    dense = table.toarray()
    exact = np.linalg.solve(dense.T @ np.diag(told) @ dense + np.diag(priors), right)
    assert _solved(design, told, priors, right, np.zeros(12)) == pytest.approx(exact, abs=2e-2)


def test_what_was_rated_counts_by_the_root_of_its_number() -> None:
    events = toy_world().events
    table = rated_items(events, toy_world().n_items)
    lengths = np.diff(events.offsets)
    assert np.sqrt(table.power(2).sum(axis=1)) == pytest.approx(np.ones(len(lengths)))
    assert table[[3]].nnz == lengths[3]


def test_heavier_ratings_count_more() -> None:
    events, catalogue, users = two_tastes()
    weights = np.where(events.fields["rating"] > 3, 9, 1).astype(np.float32)
    heavy = Events(events.offsets, events.items, events.times, {**events.fields, "weight": weights})
    means = []
    for log in (events, heavy):
        task = BayesianFM(BayesianFMConfig(rank=1), None)  # type: ignore[arg-type]
        problem = task._problem_of(TrainingData(log, MF, 5, 100, catalogue, users))
        offset, rng = 3.0, np.random.default_rng(0)
        sides = [Side(one, np.zeros((2, n)), np.zeros((2, len(one.groups))), np.zeros(2))
                 for one, n in ((problem.users, N_USERS), (problem.items, N_ITEMS))]  # fmt: skip
        for _ in range(5):
            offset, _error = module.sweep(problem.ratings, offset, *sides, rng)
        means.append(offset + sides[0].values()[-1].mean() + sides[1].values()[-1].mean())
    assert means[1] > means[0] + 0.3


EXPERIMENT = (
    SMALL.split("[model]")[0]
    + """
[split]
name = "random"

[model]
width = 21
dropout = 0.0
backbone = { name = "mf" }

[[stages]]
tasks = [{ name = "bayesian_fm", rank = 4 }]
epochs = 6

[evaluate]
resamples = 10
"""
)


def experiment(*settings: str) -> Experiment:
    return experiment_of(EXPERIMENT, "data.ratings=true", *settings)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("model.width=4", r"rank = 4 needs model.width = 5 or more \(now 4\)"),
        ("model.backbone.name=gpt", "needs a backbone with vectors of users; 'gpt' reads histories. Use mf"),
        ("model.unit_items=true", "needs model.encoders = .* and unit_items = false"),
        ('stages.0.tasks.0.attributes=["genre"]', "no table has a column 'genre', which attributes names"),
        ("stages.0.tasks.0.loss.name=mse", "fits the network by itself and takes no loss"),
        ('stages.0.tasks=[{name="bayesian_fm"},{name="rating"}]', "is the only task of its stage"),
        ("data.ratings=false", "needs ratings, and this data has none"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, setting: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        p5core.run(experiment(setting), runs=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.gpu
def test_samples_on_a_gpu_are_those_of_the_processor() -> None:
    task, network, data, _ = fitted(25)
    network.cuda()
    task.update(network, data, 25, 60, np.random.default_rng(1))
    moved = {name: value.cpu() for name, value in network.state_dict().items()}
    task, network, data, _ = fitted(25)
    task.update(network, data, 25, 60, np.random.default_rng(1))
    for name, value in network.state_dict().items():
        assert torch.allclose(value, moved[name], atol=1e-5), name
