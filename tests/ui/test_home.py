"""The first page: where somebody stands in the walkthrough, and its end in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from p5core.config.experiment import parse_experiment
from p5core.errors import RunError
from p5core.plugins.registry import load_plugins
from p5core.runs.folder import create_run
from p5core.system.files import write_json
from p5ui.pages.home.demo import EXPORT, LOOK, START, TRAIN, export_demo, export_html, figures, start_demo, step_of
from p5ui.pages.runs.run_list import RunRow, find_row
from p5ui.workspace.workspace import Studio

ENGLISH: Mapping[str, str] = {"accept-language": "en"}


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A folder whose jobs wait for ever."""
    monkeypatch.setattr("p5core.runs.jobs.Jobs._advance", lambda jobs: None)
    return Studio(tmp_path, load_plugins())


def finish(studio: Studio) -> Path:
    run = create_run(studio.runs / "demo", parse_experiment({"data": {"name": "synthetic"}}), {}, None)
    write_json(run.path / "status.json", {"state": "done", "share": 1.0})
    values = {"model": {"hr@10": 0.5, "rmse": 1.0}, "popularity": {"hr@10": 0.25, "rmse": None}}
    write_json(run.path / "metrics.json", {"test": values})
    return run.path


def end_job(studio: Studio, code: int, said: str = "") -> None:
    job = studio.jobs.all()[-1]
    write_json(job.path / "start.json", {"pid": 2**22 + 1, "born": "1"})
    write_json(job.path / "end.json", {"code": code})
    (job.path / "output.txt").write_text(said)


def test_the_way_from_nothing_to_an_export(studio: Studio) -> None:
    def sentence() -> str:
        return export_html(studio, find_row(studio, "demo"), ENGLISH)

    def step() -> int:
        return step_of(studio, find_row(studio, "demo"))

    assert (step(), figures(studio, None, ENGLISH)) == (START, None)
    assert "Train the demo first" in sentence()
    start_demo(studio)
    start_demo(studio)
    assert [job.arguments for job in studio.jobs.all()] == [["demo", "--runs", str(studio.runs)]]
    assert step() == TRAIN
    path = finish(studio)
    end_job(studio, 0)
    assert step() == LOOK
    assert "Not exported yet" in sentence()
    export_demo(studio)
    assert studio.jobs.all()[-1].arguments == ["export", str(path), "--column", "title"]
    assert step() == EXPORT
    assert "being made and checked" in sentence()
    with pytest.raises(RunError, match=r"The demo is being exported already. Wait until it is done"):
        export_demo(studio)
    end_job(studio, 1, "much\nError: Parity <lost>.\n")
    assert "The export failed: Parity &lt;lost&gt;." in sentence()
    (path / "export").mkdir()
    (path / "export" / "model.onnx").write_bytes(bytes(2**20))
    assert "runs/demo/export/model.onnx (1,024 kB)" in sentence()


def test_figures_stand_beside_their_baselines(studio: Studio) -> None:
    finish(studio)
    frame = figures(studio, RunRow("demo", "done"), ENGLISH)
    assert frame is not None
    assert frame.to_numpy().tolist() == [["hr@10", "0.5000", "0.2500"], ["rmse", "1.0000", "–"]]


def test_only_a_trained_demo_is_exported(studio: Studio) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        export_demo(studio)


@pytest.fixture
def _trained(ui) -> Iterator[None]:
    """A run that passes for the demo, without the export that another test may have made of it."""
    shutil.copytree(ui.studio.runs / "first", ui.studio.runs / "demo", ignore=shutil.ignore_patterns("export*"))
    yield
    ui.studio.jobs.delete("demo")


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
