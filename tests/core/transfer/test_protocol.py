"""Pre-trained weights beside their rivals, with few users and with all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import p5core
from p5core.cli import build
from p5core.config.document import dump_experiment
from p5core.errors import ConfigError, RunError
from p5core.evaluation.metric_results import choose_metrics
from p5core.plugins.registry import Registry
from p5core.runs.base import Base
from p5core.transfer import protocol
from p5core.transfer.protocol import Cell, TransferPlan, measure_transfer
from p5core.transfer.results import TransferResults
from p5core.workflows import train

Make = Callable[..., p5core.Experiment]


def silent(text: str) -> None:
    """Say nothing."""


@pytest.fixture
def plan(base: Base, shops: dict[str, str], experiment: Make, tmp_path: Path) -> TransferPlan:
    """Films with few users and all, from the base of both shops."""
    chosen = experiment(shops["films"], start=f", from = '{base.path}'")
    model = chosen.model.model_copy(update={"blend": [p5core.PartSpec(name="cooccurrence", content="all")]})
    evaluate = chosen.evaluate.model_copy(update={"baselines": ["popularity", "content"]})
    chosen = chosen.model_copy(update={"model": model, "evaluate": evaluate})
    return TransferPlan(chosen, tmp_path / "figures", tmp_path, (0.0, 0.25, 1.0), 2)


@pytest.fixture
def cells(plan: TransferPlan, registry: Registry) -> list[Cell]:
    return measure_transfer(plan, registry, silent)


def test_every_rival_is_measured_on_every_share(cells: list[Cell], plan: TransferPlan, registry: Registry) -> None:
    networks = {"from scratch", "from scratch, blended", "pre-trained", "pre-trained, blended"}
    by_share = {share: {name for cell in cells if cell.share == share for name in cell.test} for share in plan.shares}
    assert by_share == {
        0.0: {"cooccurrence", "content", *networks},
        0.25: {"popularity", "cooccurrence", "content", *networks},
        1.0: {"popularity", "cooccurrence", "content", *networks},
    }
    assert [(cell.share, cell.seed) for cell in cells] == [(share, seed) for share in plan.shares for seed in (0, 1)]
    n_users = {cell.share: cell.n_users for cell in cells}
    assert n_users[0.0] == 0
    assert n_users[0.25] == round(n_users[1.0] / 4)
    sizes = {len(values) for cell in cells for by_label in cell.test.values() for values in by_label.values()}
    assert len(sizes) == 1


def test_all_users_are_the_runs_own_figures(
    cells: list[Cell], plan: TransferPlan, registry: Registry, tmp_path: Path
) -> None:
    """With all users a cell measures what `p5 run` measures."""
    first = plan.experiment.stages[0].model_copy(update={"from_run": ""})
    scratch = train.run(plan.experiment.model_copy(update={"stages": [first]}), tmp_path, "scratch", registry)
    tuned = train.run(plan.experiment, tmp_path, "tuned", registry)
    cell = next(cell for cell in cells if (cell.share, cell.seed) == (1.0, 0))
    for run, name in ((scratch, "from scratch, blended"), (tuned, "pre-trained, blended")):
        figures = run.metrics()
        assert np.mean(cell.test[name]["ndcg@10"]) == pytest.approx(figures.test["model"]["ndcg@10"])
        assert cell.validation[name] == pytest.approx(figures.validation["model"]["ndcg@10"])


def test_without_users_nothing_is_trained(cells: list[Cell], plan: TransferPlan, registry: Registry) -> None:
    """The models of both seeds are the same where nothing but random ids tells them apart."""
    first, second = (cell for cell in cells if cell.share == 0.0)
    for name in ("content", "pre-trained"):
        np.testing.assert_allclose(first.test[name]["ndcg@10"], second.test[name]["ndcg@10"])


def test_smaller_shares_lie_within_larger_ones(plan: TransferPlan, registry: Registry) -> None:
    data = train.prepare_run(plan.experiment, plan.runs, registry, None).data
    users = {
        (share, seed): set(np.flatnonzero(np.diff(protocol.with_users(data, share, seed).target.split.train.offsets)))
        for share in (0.1, 0.5, 1.0)
        for seed in (0, 1)
    }
    for seed in (0, 1):
        assert users[0.1, seed] < users[0.5, seed] < users[1.0, seed]
    assert users[0.1, 0] != users[0.1, 1]
    fewer = protocol.with_users(data, 0.5, 0)
    assert fewer.target.split.test is data.target.split.test
    assert fewer.stages[0][0] is fewer.target


def test_a_measurement_goes_on_where_it_was(
    cells: list[Cell], plan: TransferPlan, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Any] = []
    monkeypatch.setattr(protocol, "blend_with_scorers", lambda *given: measured.append(given))
    again = measure_transfer(plan, registry, silent)
    assert not measured
    for cell, other in zip(cells, again, strict=True):
        assert cell.validation == other.validation
    (plan.folder / "cells" / "0.25-1.json").unlink()
    monkeypatch.undo()
    (repeated,) = [cell for cell in measure_transfer(plan, registry, silent) if (cell.share, cell.seed) == (0.25, 1)]
    before = next(cell for cell in cells if (cell.share, cell.seed) == (0.25, 1))
    for name, by_label in before.test.items():
        for label, values in by_label.items():
            np.testing.assert_array_equal(values, repeated.test[name][label])


def test_another_plan_does_not_take_the_figures(plan: TransferPlan, registry: Registry, cells: list[Cell]) -> None:
    other = replace(plan, experiment=plan.experiment.model_copy(update={"seed": 7}))
    with pytest.raises(RunError, match=r"holds something else"):
        measure_transfer(other, registry, silent)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"shares": (0.5, 1.5)}, r"Shares of users lie between 0 and 1"),
        ({"experiment": "no start"}, r"starts from a run or a base. Name one with --from"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    change: dict[str, Any], fault: str, plan: TransferPlan, registry: Registry
) -> None:
    if "experiment" in change:
        first = plan.experiment.stages[0].model_copy(update={"from_run": ""})
        change = {"experiment": plan.experiment.model_copy(update={"stages": [first]})}
    with pytest.raises(ConfigError, match=fault):
        measure_transfer(replace(plan, **change), registry, silent)
    assert not plan.folder.exists()


def made_up(registry: Registry) -> TransferResults:
    """Two seeds of one share; the pre-trained model is better for each user by .1, and blended it is the best."""
    rng = np.random.default_rng(0)
    base = rng.random(500) * 0.5
    values = {"content": base + 0.05, "from scratch": base, "pre-trained": base + 0.1}
    values |= {"from scratch, blended": base + 0.2, "pre-trained, blended": base + 0.19}
    validation = {name: each.mean() for name, each in values.items()}
    test = [{name: {"ndcg@10": each + seed / 100} for name, each in values.items()} for seed in (0, 1)]
    cells = [Cell(0.5, seed, 10, validation, test[seed], {}) for seed in (0, 1)]
    (metric,) = choose_metrics(registry, ["ndcg@10"])
    return TransferResults(cells, [metric], metric)


def test_gains_are_paired_and_the_strongest_rival_is_there(registry: Registry) -> None:
    results = made_up(registry)
    gains = {(gain.model, gain.rival): gain for gain in results.gains()}
    assert list(gains) == [("pre-trained", "from scratch"), ("pre-trained, blended", "from scratch, blended")]
    first, second = gains.values()
    assert first.result.difference == pytest.approx(0.1)
    assert first.result.low == pytest.approx(0.1)
    assert "pre-trained gains against from scratch: ndcg@10 +0.1000" in first.sentence
    assert "pre-trained, blended loses against from scratch, blended" in second.sentence
    assert results.best(0.5).model == "from scratch, blended"
    assert "| 50% (10) | **from scratch, blended** |" in results.table()
    line = next(line for line in results.lines() if line.model == "content")
    assert line.spread["ndcg@10"] == pytest.approx(np.std([0, 0.01], ddof=1))


def test_the_command_writes_a_table_figures_and_a_picture(
    plan: TransferPlan, registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "films.toml"
    file.write_text(dump_experiment(plan.experiment))
    arguments = ["transfer", str(file), "--out", str(tmp_path / "out"), "--share", "0", "--share", "1", "--seeds", "1"]
    done = CliRunner().invoke(build(registry), arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "| 100% " in done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"cells", "figures.json", "figures.png", "measured.json", "table.md"}
    assert (tmp_path / "out" / "table.md").read_text().split("\n\n")[0] in done.output
    assert (tmp_path / "out" / "figures.png").read_bytes()[:4] == b"\x89PNG"


def test_scorers_of_one_name_are_told_apart(plan: TransferPlan, registry: Registry) -> None:
    refs = [p5core.PartSpec(name="item_knn", n_neighbours=1), p5core.PartSpec(name="item_knn", n_neighbours=20)]
    evaluate = plan.experiment.evaluate.model_copy(update={"baselines": refs})
    chosen = plan.experiment.model_copy(update={"evaluate": evaluate})
    (cell,) = measure_transfer(replace(plan, experiment=chosen, shares=(1.0,), n_seeds=1), registry, silent)
    assert {"item_knn", "item_knn,n_neighbours=20"} <= cell.test.keys()
    first, second = (cell.test[name]["ndcg@10"] for name in ("item_knn", "item_knn,n_neighbours=20"))
    assert not np.array_equal(first, second)


def test_users_with_more_targets_weigh_as_in_a_run(plan: TransferPlan, registry: Registry, tmp_path: Path) -> None:
    chosen = plan.experiment.model_copy(update={"split": p5core.PartSpec(name="time")})
    (cell,) = measure_transfer(replace(plan, experiment=chosen, shares=(1.0,), n_seeds=1), registry, silent)
    run = train.run(chosen, tmp_path, "run", registry)
    results = TransferResults.of([cell], chosen, registry)
    line = next(line for line in results.lines() if line.model == "pre-trained, blended")
    assert line.values["ndcg@10"] == pytest.approx(run.metrics().test["model"]["ndcg@10"])


def test_figures_of_other_data_are_not_gone_on_with(plan: TransferPlan, registry: Registry, tmp_path: Path) -> None:
    path = Path(plan.experiment.data.options["path"])
    changed = Path(shutil.copy(path, tmp_path / "log.csv"))
    options = {**plan.experiment.data.options, "path": str(changed)}
    data = p5core.PartSpec.model_validate({"name": "table", **options})
    own = replace(plan, experiment=plan.experiment.model_copy(update={"data": data}), shares=(0.0,), n_seeds=1)
    measure_transfer(own, registry, silent)
    lines = changed.read_text().splitlines()
    changed.write_text("\n".join([lines[0], *lines[300:]]))
    with pytest.raises(RunError, match=r"figures of another experiment, of other data or weights"):
        measure_transfer(own, registry, silent)


def test_a_share_has_one_user_at_least_and_nothing_is_left_of_a_faulty_plan(
    plan: TransferPlan, registry: Registry
) -> None:
    data = train.prepare_run(plan.experiment, plan.runs, registry, None).data
    assert (np.diff(protocol.with_users(data, 1e-9, 0).target.split.train.offsets) > 0).sum() == 1
    first = plan.experiment.stages[0].model_copy(update={"watch": "coverage@10"})
    faulty = replace(plan, experiment=plan.experiment.model_copy(update={"stages": [first]}))
    with pytest.raises(ConfigError, match=r"'coverage@10' is none"):
        measure_transfer(faulty, registry, silent)
    assert not plan.folder.exists()


def test_what_makes_figures_unfair_is_said(plan: TransferPlan, registry: Registry) -> None:
    said: list[str] = []
    model = plan.experiment.model.model_copy(update={"width": 32})
    other = replace(plan, experiment=plan.experiment.model_copy(update={"model": model}), shares=(0.0,), n_seeds=1)
    measure_transfer(other, registry, said.append)
    assert any("with another width" in line for line in said)
    assert any("was trained on the catalogue 'films' as well" in line for line in said)
