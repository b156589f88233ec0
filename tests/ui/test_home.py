"""The first page: where somebody stands in the walkthrough, and its end in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from p5core.config.document import parse_experiment
from p5core.errors import RunError
from p5core.plugins.discovery import load_plugins
from p5core.runs.create import create_run
from p5core.system.files import write_json
from p5ui.pages.home.demo import EXPORT, LOOK, START, TRAIN, export_demo, export_html, figures, start_demo, step_of
from p5ui.pages.runs.run_list import RunRow, find_row
from p5ui.workspace.workspace import Workspace

ENGLISH: Mapping[str, str] = {"accept-language": "en"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A folder whose jobs wait for ever."""
    monkeypatch.setattr("p5core.runs.jobs.Jobs._advance", lambda jobs: None)
    return Workspace(tmp_path, load_plugins())


def finish(workspace: Workspace) -> Path:
    run = create_run(workspace.runs / "demo", parse_experiment({"data": {"name": "synthetic"}}), {}, None)
    write_json(run.path / "status.json", {"state": "done", "share": 1.0})
    values = {"model": {"hr@10": 0.5, "rmse": 1.0}, "popularity": {"hr@10": 0.25, "rmse": None}}
    write_json(run.path / "metrics.json", {"test": values})
    return run.path


def end_job(workspace: Workspace, code: int, said: str = "") -> None:
    job = workspace.jobs.all()[-1]
    write_json(job.path / "start.json", {"pid": 2**22 + 1, "born": "1"})
    write_json(job.path / "end.json", {"code": code})
    (job.path / "output.txt").write_text(said)


def test_the_way_from_nothing_to_an_export(workspace: Workspace) -> None:
    def sentence() -> str:
        return export_html(workspace, find_row(workspace, "demo"), ENGLISH)

    def step() -> int:
        return step_of(workspace, find_row(workspace, "demo"))

    assert (step(), figures(workspace, None, ENGLISH)) == (START, None)
    assert "Train the demo first" in sentence()
    start_demo(workspace)
    start_demo(workspace)
    assert [job.arguments for job in workspace.jobs.all()] == [["demo", "--runs", str(workspace.runs)]]
    assert step() == TRAIN
    path = finish(workspace)
    end_job(workspace, 0)
    assert step() == LOOK
    assert "Not exported yet" in sentence()
    export_demo(workspace)
    assert workspace.jobs.all()[-1].arguments == ["export", str(path), "--column", "title"]
    assert step() == EXPORT
    assert "being made and checked" in sentence()
    with pytest.raises(RunError, match=r"The demo is being exported already. Wait until it is done"):
        export_demo(workspace)
    end_job(workspace, 1, "much\nError: Parity <lost>.\n")
    assert "The export failed: Parity &lt;lost&gt;." in sentence()
    (path / "export").mkdir()
    (path / "export" / "model.onnx").write_bytes(bytes(2**20))
    assert "runs/demo/export/model.onnx (1,024 kB)" in sentence()


def test_figures_stand_beside_their_baselines(workspace: Workspace) -> None:
    finish(workspace)
    frame = figures(workspace, RunRow("demo", "done"), ENGLISH)
    assert frame is not None
    assert frame.to_numpy().tolist() == [["hr@10", "0.5000", "0.2500"], ["rmse", "1.0000", "–"]]


def test_only_a_trained_demo_is_exported(workspace: Workspace) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        export_demo(workspace)


@pytest.fixture
def _trained(ui) -> Iterator[None]:
    """A run that passes for the demo, without the export that another test may have made of it."""
    shutil.copytree(ui.workspace.runs / "first", ui.workspace.runs / "demo", ignore=shutil.ignore_patterns("export*"))
    yield
    ui.workspace.jobs.delete("demo")


@pytest.mark.usefixtures("_trained")
def test_the_walkthrough_ends_with_an_export(ui, page: Page, shot: Callable[..., None]) -> None:
    page.goto(ui.address)
    expect(page.locator("#home-figures")).to_contain_text("popularity")
    page.locator("#home-next").click()
    expect(page.locator("#home-exported")).to_contain_text("Not exported yet")
    expect(page.locator("#home-download")).to_be_disabled()
    page.locator("#home-export").click()
    expect(page.locator("#home-exported")).to_contain_text("being made and checked")
    page.reload()
    expect(page.locator("#home-exported")).to_contain_text("runs/demo/export/model.onnx", timeout=60_000)
    shot(page, "home")
    page.locator("#home-download:not([disabled])").click()
    page.wait_for_url("**/export?run=demo")
