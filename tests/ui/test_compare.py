"""Figures beside baselines, paired tests, groups of users, and the from-scratch control."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from p5core.config.document import load_experiment, parse_experiment
from p5core.runs.create import create_run
from p5core.system.files import write_json
from p5core.training.defaults import name_defaults
from p5ui.i18n.messages import language_of, said
from p5ui.i18n.translations import translated
from p5ui.pages.compare.frames import (
    curves,
    figures_frame,
    find_control,
    finished_runs,
    legend,
    paired,
    palette,
    protocols,
    sides_of,
)
from p5ui.workspace.workspace import Workspace

PRETRAINED = """
[[stages]]
name = "pretrain"
tasks = [{ name = "masked_item" }]

[[stages]]
tasks = [{ name = "next_item" }]
epochs = 2
"""


@pytest.fixture
def workspace(ui, tmp_path: Path) -> Workspace:
    """A folder with the finished run under two names."""
    for name in ("a", "b"):
        shutil.copytree(ui.workspace.runs / "first", tmp_path / "runs" / name)
    return Workspace(tmp_path, ui.workspace.registry)


def test_models_come_before_baselines_and_equal_baselines_once(workspace: Workspace) -> None:
    sides = sides_of(workspace, ["a", "b"])
    assert list(sides) == ["a", "b", "a: popularity", "a: cooccurrence", "b: popularity", "b: cooccurrence"]
    frame = figures_frame(sides)
    assert frame["run"].tolist() == ["a", "b", "a: popularity", "a: cooccurrence"]
    value = workspace.run("a").metrics().test["model"]["ndcg@10"]
    assert frame["ndcg@10"][0].startswith(f"{value:.4f} (")
    [protocol] = protocols(workspace, ["a", "b"])
    assert "全量排序" in translated({"accept-language": "zh"}, protocol), "stored figures keep the template"


def test_equal_runs_differ_by_nothing_and_a_damaged_one_is_refused_in_a_sentence(workspace: Workspace) -> None:
    found = paired(workspace, sides_of(workspace, ["a", "b"]), "a")
    assert {one.result.difference for _, one in found.rows} == {0.0}
    assert {side.name for side, _ in found.rows} == {"b"}
    (workspace.run("b").path / "per_user.safetensors").write_bytes(b"changed")
    found = paired(workspace, sides_of(workspace, ["a", "b"]), "a: popularity")
    assert {side.name for side, _ in found.rows} == {"a"}
    assert [re.sub("/.*/", "", one) for one in found.refusals] == [
        "b: per_user.safetensors was changed since P5 wrote it: its hash differs. Restore it or run again."
    ]


def test_groups_hold_every_test_user_once(workspace: Workspace) -> None:
    found = curves(workspace, {"a": (workspace.run("a"), "model")}, "hr@10")
    for frame in (found.history, found.popularity, found.warmth):
        assert frame["users"].sum() == workspace.run("a").metrics().n_test_users
        mean = np.average(frame["value"], weights=frame["users"])
        assert mean == pytest.approx(workspace.run("a").metrics().test["model"]["hr@10"])
        assert ((frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])).all()


def test_a_control_is_found_or_its_experiment_is_written(workspace: Workspace, small: str) -> None:
    assert find_control(workspace, ["a", "b"]) is None, "nothing was pre-trained"
    plain = small.split("[[stages]]")[0]
    for width in ("8", "16"):
        tree = tomllib.loads(plain.replace("width = 8", f"width = {width}") + PRETRAINED)
        experiment = name_defaults(parse_experiment({**tree, "evaluate": {"resamples": 10}}), workspace.registry)
        run = create_run(workspace.runs / f"tuned-{width}", experiment, {}, None)
        write_json(run.path / "status.json", {"state": "done"})
    same, other = (find_control(workspace, [name]) for name in ("tuned-8", "tuned-16"))
    assert same is not None
    assert other is not None
    assert same.name in ("a", "b")
    assert (same.has_model, other.has_model) == (True, False)
    for name in ("a", "b"):
        shutil.rmtree(workspace.runs / name)
    missing = find_control(workspace, ["tuned-8"])
    assert missing is not None
    assert (missing.name, missing.experiment) == (None, "experiments/tuned-8-from-scratch.toml")
    assert len(load_experiment(workspace.folder / missing.experiment).stages) == 1
    assert finished_runs(workspace) == ["tuned-16", "tuned-8"]


def test_names_in_the_legend_are_text() -> None:
    assert "&lt;b&gt;" in legend(palette(["<b>"]))
    assert len(set(palette([str(one) for one in range(7)]).values())) == 7


def test_sentences_are_in_the_language_of_the_browser() -> None:
    assert language_of({"accept-language": "fr-FR, zh-CN;q=0.9, en;q=0.8"}) == "zh"
    assert language_of({}) == "en"
    assert said({"accept-language": "de"}, "compare.protocol", note="x") == "Protocol: x"


def test_the_page_compares(ui, page: Page, shot) -> None:
    page.goto(f"{ui.address}/compare?run=first")
    figures = page.locator("#compare-figures")
    expect(figures.get_by_role("gridcell", name="first: popularity")).to_be_visible()
    expect(page.locator("#compare-note")).to_contain_text("Full ranking")
    expect(page.locator("#compare-tests").get_by_role("gridcell", name="ndcg@10")).to_be_visible()
    expect(page.locator("#compare-history svg.marks")).to_be_visible()
    page.get_by_role("button", name="Add the from-scratch control").click()
    expect(page.get_by_text("None of the chosen runs was pre-trained")).to_be_visible()
    shot(page, "compare")
    page.reload()
    expect(page.locator("#compare-figures").get_by_role("gridcell", name="first: popularity")).to_be_visible()
