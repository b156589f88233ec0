"""Stages of several data sets, frozen modules, and learning rates of modules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import p5core
from p5core.config.document import parse_experiment
from p5core.config.tree import parse_toml
from p5core.data.storage import read_dataset
from p5core.errors import ConfigError
from p5core.fitting.experiment_data import gather
from p5core.fitting.fit import fit_all, stage_evaluators
from p5core.fitting.trained_model import load_run_data, new_network
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.training.engine import Engine
from p5core.training.loop import Silent, StopRequestedError
from p5core.training.sources import Sources
from p5core.training.stages import StageEvaluator, make_stage
from p5core.workflows import train

SHOP = (
    "{{name='synthetic', n_users={users}, n_items={items}, n_events={events}, n_clusters=4, domain='{name}', "
    "seed={seed}}}"
)
GAMES = SHOP.format(name="games", users=60, items=30, events=900, seed=1)
FILMS = SHOP.format(name="films", users=30, items=20, events=400, seed=2)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def experiment(sources: str, more: str = "") -> p5core.Experiment:
    """A small network over a shop of films, with one stage of the sources."""
    text = f"""
        data = {FILMS}
        model = {{ width = 8, max_length = 8, dropout = 0.0, backbone = {{ name = "gpt", n_layers = 1, n_heads = 1 }} }}
        stages = [{{ epochs = 2, token_budget = 100, sources = [{sources}]{more} }}]
        evaluate = {{ baselines = [], resamples = 0, metrics = ["ndcg@10"] }}
    """
    return parse_experiment(parse_toml(text, "test"))


def test_a_batch_holds_the_events_of_one_source(registry: Registry) -> None:
    data = gather(experiment(f"{{data={GAMES}}}, {{}}"), registry)
    network = new_network(data, registry)
    stage = make_stage(network, data.experiment, registry, data.stages[0], None, Path(), 0)
    assert [source is data.target for source in data.stages[0]] == [False, True]
    (plan,) = stage.plans(0)
    games = set(data.target.dataset.catalogue.members("games").tolist())
    for nth, (source, _) in enumerate(plan):
        (batch,) = stage.batches([plan], 0, nth)
        items = set(batch.items[batch.real].tolist())
        assert items
        assert items <= games if source == 0 else not items & games
    each_alone = [len(stage.tasks[0].plan(source, np.random.default_rng(0))) for source in stage.sources.data]
    assert Counter(source for source, _ in plan) == Counter({0: each_alone[0], 1: each_alone[1]})
    assert [source for source, _ in plan] != sorted(source for source, _ in plan)


class Plans:
    """A task whose plan names the batches of its data."""

    name = "plans"

    def plan(self, data: Any, rng: np.random.Generator) -> list[int]:
        return rng.permutation(data).tolist()


@pytest.mark.parametrize(
    ("temperature", "weights", "expected"),
    [
        (1, (1, 1), (90, 10)),
        (2, (1, 1), (75, 25)),
        (100, (1, 1), (51, 49)),
        (1, (1, 9), (50, 50)),
        (1, (1, 1e6), (1, 100)),
    ],
)
def test_sources_are_drawn_by_size_weight_and_temperature(
    temperature: float, weights: tuple[float, float], expected: tuple[int, int]
) -> None:
    task: Any = Plans()
    sizes: Any = [90, 10]
    sources = Sources(sizes, weights, temperature)
    plan = sources.plan(task, np.random.default_rng(0))
    assert tuple(Counter(source for source, _ in plan)[nth] for nth in (0, 1)) == expected
    times = Counter(rows for source, rows in plan if source == 1)
    assert max(times.values()) - min(times[row] for row in range(10)) <= 1
    assert plan == sources.plan(task, np.random.default_rng(0))


def test_a_run_on_two_catalogues_serves_the_items_of_its_own(registry: Registry, tmp_path: Path) -> None:
    run = train.run(experiment(f"{{data={GAMES}}}, {{weight=2}}"), tmp_path, "both", registry)
    target = read_dataset(run.data / "target")
    assert {path.name for path in run.data.iterdir()} == {"target", "stage-0"}
    counts = load_file(run.weights)["items.counts"]
    games = torch.from_numpy(target.catalogue.members("games")).long()
    assert counts[games].sum() == 0
    assert counts.sum() > 0
    recommender = p5core.Recommender.load(run.path, registry)
    items = [found.item for found in recommender.recommend(target.catalogue.decode(target.events.items[:2]), k=500)]
    assert set(target.catalogue.encode(items, "films").tolist()) <= set(target.catalogue.members("films").tolist())


def test_every_source_teaches_and_validates(registry: Registry, tmp_path: Path) -> None:
    """The items of both catalogues move, and the figure of an epoch is the mean over both."""
    data = gather(experiment(f"{{data={GAMES}}}, {{}}"), registry)
    network = new_network(data, registry)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluators = stage_evaluators(data, registry)
    values = [
        StageEvaluator([evaluator], evaluators[0].watch, []).validate(network)["ndcg@10"]
        for evaluator in evaluators[0].evaluators
    ]
    assert len(set(values)) == 2
    assert evaluators[0].validate(network)["ndcg@10"] == pytest.approx(np.mean(values))
    fit_all(tmp_path, data, network, registry, Silent(), Engine("cpu", "32-true"))
    (name,) = [name for name, rows in network.row_labels().items() if rows == "item"]
    moved = (network.state_dict()[name] != before[name]).any(dim=1)
    for domain in ("games", "films"):
        assert moved[torch.from_numpy(data.target.dataset.catalogue.members(domain)).long()].float().mean() > 0.9


class StopAtOnce(Silent):
    """Asks training to stop after its first step."""

    def stop_requested(self) -> bool:
        return True


def test_a_stopped_run_of_several_sources_goes_on_as_if_it_had_not_been(registry: Registry, tmp_path: Path) -> None:
    chosen = experiment(f"{{data={GAMES}}}, {{}}", ', temperature = 2, freeze = ["items"]')
    whole = train.run(chosen, tmp_path, "whole", registry)

    prepared = train.prepare_run(chosen, tmp_path, registry, None)
    run = p5core.Run(train._create(tmp_path / "stopped", prepared, registry))
    data = load_run_data(run, registry)
    with pytest.raises(StopRequestedError):
        fit_all(run.checkpoints, data, new_network(data, registry), registry, StopAtOnce(), prepared.engine)
    train.resume(run, registry)
    weights = load_file(run.weights)
    assert all(torch.equal(value, weights[name]) for name, value in load_file(whole.weights).items())


def test_frozen_modules_stay_and_others_move(registry: Registry, tmp_path: Path) -> None:
    weights = {
        name: load_file(train.run(experiment("{}", more), tmp_path, name, registry).weights)
        for name, more in (("free", ""), ("frozen", ', freeze = ["backbone"]'))
    }
    data = gather(experiment("{}"), registry)
    begin = new_network(data, registry).state_dict()
    for name, value in begin.items():
        if name.startswith("backbone") and value.is_floating_point() and value.dim() > 1:
            assert torch.equal(weights["frozen"][name], value)
            assert not torch.equal(weights["free"][name], value)
    (items,) = [name for name, rows in new_network(data, registry).row_labels().items() if rows == "item"]
    assert not torch.equal(weights["frozen"][items], begin[items])


def test_a_later_stage_trains_what_an_earlier_one_froze(registry: Registry, tmp_path: Path) -> None:
    text = experiment("{}", ', freeze = ["backbone"]')
    two = text.model_copy(update={"stages": [text.stages[0], experiment("{}").stages[0]]})
    first = load_file(train.run(text, tmp_path, "one", registry).weights)
    second = load_file(train.run(two, tmp_path, "two", registry).weights)
    names = [name for name in first if name.startswith("backbone") and first[name].dim() > 1]
    assert names
    assert all(not torch.equal(first[name], second[name]) for name in names)


def test_learning_rates_of_modules_scale_their_steps(registry: Registry, tmp_path: Path) -> None:
    moved = {}
    data = gather(experiment("{}"), registry)
    begin = new_network(data, registry).state_dict()
    for factor in (1.0, 0.01):
        chosen = experiment("{}", f", learning_rates = {{ backbone = {factor} }}")
        weights = load_file(train.run(chosen, tmp_path, f"rate{factor}", registry).weights)
        moved[factor] = {
            part: float(
                sum((weights[name] - value).abs().sum() for name, value in begin.items() if name.startswith(part))
            )
            for part in ("backbone", "items.encoders")
        }
    assert moved[0.01]["backbone"] < 0.05 * moved[1.0]["backbone"]
    assert moved[0.01]["items.encoders"] > 0.3 * moved[1.0]["items.encoders"]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (', freeze = ["backbon"]', r"stages.0.freeze: the network has no module 'backbon' .* Did you mean 'backbone'"),
        (", learning_rates = { head = 0.1 }", r"learning_rates: the network has no module .head.*modules: backbone"),
        (", learning_rates = { backbone = 0 }", r"factors in learning_rates must be above 0 .* freeze names modules"),
        (', freeze = ["backbone", "items"]', r"stages.0.freeze leaves nothing to train"),
        (f", data = {GAMES}", r"a stage with sources has no data or prepare of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_written(
    more: str, fault: str, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=fault):
        train.run(experiment("{}", more), tmp_path, "run", registry)
    assert not list(tmp_path.iterdir())


def test_items_that_two_sources_share_are_told(registry: Registry) -> None:
    same = SHOP.format(name="films", users=30, items=40, events=400, seed=3)
    told = [str(sentence) for sentence in gather(experiment(f"{{data={same}}}, {{}}"), registry).sentences]
    (sentence,) = [text for text in told if " of its " in text and text.startswith("stages.0 source 0")]
    assert "20 of its 40 items and 30 of its 30 users are also in the target" in sentence
    (apart,) = [
        str(text)
        for text in gather(experiment(f"{{data={GAMES}}}, {{}}"), registry).sentences
        if str(text).startswith("stages.0 source 0")
    ]
    assert " 0 of its 30 items" in apart


@pytest.mark.parametrize("has_clock", [True, False])
def test_a_source_does_not_tell_what_is_held_out(has_clock: bool, registry: Registry, tmp_path: Path) -> None:
    """The source is the log itself with more events: those of held-out moments, or pairs, are not trained on."""
    loader = registry.choose("loader", parse_experiment(parse_toml(f"data = {FILMS}", "test")).data).build()
    raw = loader.load().interactions.sort_values(["user", "timestamp"]).drop(columns="domain", errors="ignore")
    raw["timestamp"] = 1_600_000_000 + 1000 * np.arange(len(raw)) if has_clock else range(len(raw))
    raw.to_csv(tmp_path / "all.csv", index=False)
    raw.iloc[::2].to_csv(tmp_path / "half.csv", index=False)
    unit = "time_unit = 's', domain = 'films'" if has_clock else "domain = 'films'"
    sections = [f"{{ name = 'table', path = '{tmp_path}/{name}.csv', {unit} }}" for name in ("half", "all")]
    chosen = experiment(f"{{ data = {sections[1]} }}, {{}}")
    tree = parse_toml(f"data = {sections[0]}\nprepare = {{ keep = 'all', min_user_events = 3 }}", "test")
    data_only = parse_experiment(tree)
    chosen = chosen.model_copy(update={"data": data_only.data, "prepare": data_only.prepare})
    data = gather(chosen, registry)
    source, target = data.stages[0][0], data.target
    held_out = {
        (int(user), int(item))
        for holdout in (target.split.validation, target.split.test)
        for user, items in zip(holdout.users, [holdout.targets[row] for row in range(len(holdout))], strict=True)
        for item in items
    }
    trained = source.split.train
    if has_clock:
        events, roles = target.dataset.events, data.roles[0]
        first = {user: min(events.times[(events.users == user) & (roles > 0)]) for user in set(events.users.tolist())}
        assert all(
            time < first.get(user, np.inf) for user, time in zip(trained.users.tolist(), trained.times, strict=True)
        )
    else:
        assert not held_out & set(zip(trained.users.tolist(), trained.items.tolist(), strict=True))
    assert len(trained) > len(target.split.train)
    assert any("events are left out, as they tell" in str(text) for text in data.sentences)


def test_a_source_of_another_catalogue_keeps_its_events(registry: Registry) -> None:
    data = gather(experiment(f"{{ data = {GAMES} }}, {{}}"), registry)
    source = data.stages[0][0]
    assert (data.roles[1] != 3).all()
    assert len(source.split.train) + len(source.split.validation) + len(source.split.test) == len(source.dataset.events)


def test_equal_sources_of_stages_are_one_after_a_resume_too(registry: Registry, tmp_path: Path) -> None:
    one = experiment(f"{{ data = {GAMES} }}, {{}}")
    two = one.model_copy(update={"stages": [one.stages[0], one.stages[0].model_copy(update={"name": "two"})]})
    run = train.run(two, tmp_path, "run", registry)
    for data in (gather(two, registry), load_run_data(run, registry)):
        assert data.stages[0][0] is data.stages[1][0]
        assert data.stages[0][1] is data.stages[1][1] is data.target
