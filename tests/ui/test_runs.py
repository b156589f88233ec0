"""The page Runs: what its tables say, and a run that is stopped and resumed from a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from support import change_experiment

from p5core.config.document import parse_experiment
from p5core.plugins.discovery import load_plugins
from p5core.runs.create import create_run
from p5core.runs.curves import LearningCurves, read_curves
from p5core.runs.run import Run
from p5core.system.files import write_json
from p5core.system.processes import born
from p5ui.pages.runs.run_list import RunRow, find_row, run_folder, run_rows, tail
from p5ui.pages.runs.run_view import figures_frame, loss_frame, state_html, state_text, table
from p5ui.workspace.file_cache import FileCache
from p5ui.workspace.workspace import Workspace

ENGLISH: Mapping[str, str] = {"accept-language": "en"}
ME = {"pid": os.getpid(), "born": born(os.getpid())}
VALIDATION = {"stage": "train", "epoch": 1, "step": 6, "loss": 2.0, "best": True, "share": 1.0, "hr@10": 0.5}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, load_plugins())


def pretend(workspace: Workspace, name: str, **status: Any) -> Path:
    run = create_run(workspace.runs / name, parse_experiment({"data": {"name": "synthetic"}}), {}, None)
    if status:
        write_json(run.path / "status.json", status)
    record = {"kind": "validation", "time": "now", **VALIDATION, "ndcg@10": 0.25}
    (run.path / "events.jsonl").write_text(json.dumps(record) + "\n")
    return run.path


def pretend_job(workspace: Workspace, number: int, name: str, *arguments: str, **files: object) -> None:
    path = workspace.folder / "jobs" / f"{number:06d}"
    path.mkdir(parents=True)
    write_json(path / "job.json", {"arguments": list(arguments), "run": name, "submitted": ""})
    for file, content in files.items():
        write_json(path / f"{file}.json", content)
    (path / "output.txt").write_text("much\nError: There is no file x.csv.\n")


def test_rows_say_how_runs_fare(workspace: Workspace) -> None:
    pretend(workspace, "finished", state="done", share=1.0)
    pretend(workspace, "lost", state="running", pid=2**22 + 1, share=0.5)
    pretend(workspace, "alive", state="running", **ME, share=0.5, eta_seconds=65, stage="train", epoch=2)
    pretend(workspace, "halted", state="stopped", share=0.25)
    pretend(workspace, "again", state="stopped", share=0.25)
    pretend(workspace, "broken").joinpath("status.json").write_text("{")
    pretend_job(workspace, 1, "again", "run", "x.toml")
    pretend_job(workspace, 2, "waits", "run", "x.toml")
    pretend_job(workspace, 3, "fresh", "run", "x.toml", start=ME)
    pretend_job(workspace, 4, "faulty", "run", "x.toml", start=ME, end={"code": 1})
    pretend_job(workspace, 5, "finished", "export", "runs/finished", start=ME)
    rows = {row.name: row for row in run_rows(workspace)}
    assert {name: row.state for name, row in rows.items()} == {
        "finished": "done", "lost": "crashed", "alive": "running", "halted": "stopped", "again": "queued",
        "broken": "damaged", "waits": "queued", "fresh": "starting", "faulty": "failed",
    }  # fmt: skip
    assert list(rows)[:4] == ["fresh", "waits", "again", "alive"]
    assert rows["alive"].best == ("ndcg@10", 0.25)
    assert rows["faulty"].message == "There is no file x.csv."
    assert find_row(workspace, "nothing") is None


def test_the_demo_is_watched_where_it_trains(workspace: Workspace) -> None:
    pretend(workspace, ".demo/demo", state="running", **ME, share=0.5)
    pretend_job(workspace, 1, "demo", "demo", start=ME)
    assert [(row.name, row.state) for row in run_rows(workspace)] == [("demo", "running")]
    assert run_folder(workspace, "demo").parent.name == ".demo"
    pretend(workspace, "demo", state="done", share=1.0)
    write_json(workspace.folder / "jobs" / "000001" / "end.json", {"code": 0})
    assert run_folder(workspace, "demo").name == "demo"
    assert [(row.name, row.state) for row in run_rows(workspace)] == [("demo", "done")]


def test_the_test_figures_of_a_finished_run_count(workspace: Workspace) -> None:
    path = pretend(workspace, "one", state="done")
    write_json(path / "metrics.json", {"test": {"model": {"hr@10": 0.75, "ndcg@10": None}}})
    assert run_rows(workspace)[0].best == ("hr@10", 0.75)


def test_figures_that_were_changed_are_not_shown(workspace: Workspace) -> None:
    path = pretend(workspace, "one", state="done")
    for name in ("weights.safetensors", "per_user.safetensors"):
        (path / name).write_bytes(b"x")
    write_json(path / "metrics.json", {"test": {"model": {"hr@10": 0.5, "ndcg@10": 0.125}}})
    Run(path).seal()
    assert run_rows(workspace)[0].best == ("ndcg@10", 0.125)
    write_json(path / "metrics.json", {"test": {"model": {"hr@10": 0.99, "ndcg@10": 0.99}}})
    assert run_rows(workspace)[0].best != ("ndcg@10", 0.99)


@pytest.mark.parametrize("value", ["0.5", [0.5], {"a": 1}, True])
def test_a_figure_that_is_no_number_is_not_shown(workspace: Workspace, value: object) -> None:
    path = pretend(workspace, "one", state="done")
    write_json(path / "metrics.json", {"test": {"model": {"ndcg@10": value, "hr@10": 0.5}}})
    assert run_rows(workspace)[0].best == ("ndcg@10", 0.25), "the figure of the last validation stands for it"


@pytest.mark.parametrize("name", ["x" * 300, "衣" * 100])
def test_a_name_that_no_file_system_holds_is_no_run(workspace: Workspace, name: str) -> None:
    pretend_job(workspace, 1, name, "run", "draft.toml", start={"pid": 2**22 + 1, "born": None}, end={"code": 1})
    pretend(workspace, "whole", state="done")
    assert {row.name for row in run_rows(workspace)} == {name, "whole"}
    assert find_row(workspace, "y" * 300) is None
    assert workspace.jobs.find(name) is None


def test_words_for_a_state() -> None:
    row = RunRow("x", "running", 0.5, 65.0, "train", 2, silent_seconds=200)
    assert state_text(row, ENGLISH) == (
        "running · 50% · epoch 2 of stage train · 1:05 left · no progress for 3:20: it may hang"
    )
    assert state_text(RunRow("x", "running", 1.0), ENGLISH) == "running · 100% · being evaluated"
    assert state_text(RunRow("x", "failed", message="why"), {"accept-language": "zh-CN"}) == "失败 · why"
    assert "&lt;b&gt;" in state_html(RunRow("<b>", "done"), ENGLISH)
    assert "There are no runs yet" in state_html(None, ENGLISH)
    halted = RunRow("y", "stopped", 0.25, best=("hr@10", 0.5))
    assert table([row, halted, RunRow("z", "done", 1.0)], ENGLISH).to_numpy().tolist() == [
        ["x", "running · 50% · 1:05 left", "–"],
        ["y", "stopped · 25%", "hr@10 0.5000"],
        ["z", "done", "–"],
    ]


def test_plots_have_few_points() -> None:
    many = pd.DataFrame({"step": range(5_000), "stage": "a", "epoch": 1, "loss": 1.0, "events_per_second": 1.0})
    figures = pd.DataFrame({"step": [1, 1], "stage": "a", "epoch": 1, "metric": ["a", "b"], "value": [1.0, 2.0]})
    curves = LearningCurves(many, figures)
    assert 1_000 <= len(loss_frame(curves, ["a"])) <= 2_010
    assert figures_frame(curves, "b", ["a"])["value"].tolist()[10:] == [2.0]


def test_a_plot_of_nothing_knows_the_stages_and_the_types(tmp_path: Path) -> None:
    curves = read_curves(tmp_path / "events.jsonl")
    for frame, value in ((loss_frame(curves, ["a", "b"]), "loss"), (figures_frame(curves, "x", ["a", "b"]), "value")):
        assert frame["stage"].tolist() == [str(number) for number in range(1, 11)]
        assert frame[value].isna().all()
        assert frame["step"].tolist() == [0] * 10
        assert frame["step"].dtype.kind in "if"


class Writer:
    """Writes what a run of two stages logs."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        text = {"data": {"name": "synthetic"}, "stages": [{"name": "pretrain"}, {"name": "finetune"}]}
        self.run = create_run(workspace.runs / name, parse_experiment(text), {}, None)
        write_json(self.run.path / "status.json", {"state": "running", **ME, "share": 0.1})
        self.step = 0

    def steps(self, stage: str, n: int = 20) -> None:
        with (self.run.path / "events.jsonl").open("a") as stream:
            for _ in range(n):
                self.step += 1
                record = {"kind": "step", "time": "2026-01-01T00:00:00+00:00", "stage": stage, "epoch": 1,
                          "step": self.step, "loss": 5 - self.step / 50, "events_per_second": 10.0,
                          "share": 0.1}  # fmt: skip
                stream.write(json.dumps(record) + "\n")


VISIBLE = """all => all.filter(one => {
    const stroke = one.getAttribute("stroke");
    return stroke && stroke !== "null" && one.getTotalLength() > 5;
}).length"""


def lines(page: Page, place: str) -> int:
    """Lines of a plot that can be seen."""
    return int(page.locator(f"{place} .mark-line path").evaluate_all(VISIBLE))


def wait_for_lines(page: Page, place: str, n: int) -> None:
    deadline = time.monotonic() + 20
    while lines(page, place) != n:
        assert time.monotonic() < deadline, f"{lines(page, place)} lines instead of {n}"
        page.wait_for_timeout(200)


def test_lines_appear_in_a_page_that_is_open(ui, page: Page) -> None:
    writer = Writer(ui.workspace, "live")
    try:
        page.goto(f"{ui.address}/runs?run=live")
        expect(page.locator("#runs-state")).to_contain_text("live")
        page.wait_for_timeout(2_500)
        writer.steps("pretrain")
        wait_for_lines(page, "#runs-loss", 1)
        writer.steps("finetune")
        wait_for_lines(page, "#runs-loss", 2)
        page.locator("#runs-choice input").click()
        page.get_by_role("option", name="first", exact=True).click()
        wait_for_lines(page, "#runs-figures", 1)  # of a stage with another name
    finally:
        shutil.rmtree(writer.run.path)


def test_lines_appear_while_the_demo_trains(ui, page: Page, tmp_path: Path) -> None:
    demo = ui.workspace.runs / "demo"
    if demo.exists():
        demo.rename(tmp_path / "demo")
    writer = Writer(ui.workspace, "demo")
    try:
        page.goto(ui.address)
        expect(page.locator("#home-state")).to_contain_text("demo")
        page.wait_for_timeout(2_500)
        writer.steps("pretrain")
        wait_for_lines(page, "#home-loss", 1)
        writer.steps("finetune")
        wait_for_lines(page, "#home-loss", 2)
    finally:
        shutil.rmtree(writer.run.path)
        if (tmp_path / "demo").exists():
            (tmp_path / "demo").rename(demo)


def test_a_run_that_is_not_there_shows_no_other(ui, page: Page) -> None:
    for name in ("deleted-one", "../../etc", "<b>x</b>"):
        page.goto(f"{ui.address}/runs?run={quote(name, safe='')}")
        expect(page.locator("#runs-state")).to_contain_text(f"There is no run {name} here")
        page.wait_for_timeout(2_500)
        expect(page.locator("#runs-state")).to_contain_text(f"There is no run {name} here")
        expect(page.locator("#runs-delete")).to_be_disabled()
        assert quote(name, safe="") in page.url
    for path, note in (("recommend", "#recommend-note"), ("export", "#export-note"), ("compare", "#compare-note")):
        page.goto(f"{ui.address}/{path}?run=deleted-one")
        expect(page.locator(note)).to_contain_text("There is no finished run deleted-one here")


def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    file_cache, path, read = FileCache(), tmp_path / "a.txt", []

    def content(file: Path) -> str:
        read.append(file)
        return tail(file, 3)

    assert [file_cache.read(content, path), file_cache.read(content, path)] == ["", ""]
    path.write_text("abcd")
    assert [file_cache.read(content, path), file_cache.read(content, path)] == ["bcd", "bcd"]
    assert len(read) == 2


def test_a_run_is_stopped_and_resumed_from_the_browser(ui, page: Page, small: str, shot: Callable[..., None]) -> None:
    ui.workspace.jobs.submit(small.replace("epochs = 2", "epochs = 20000"), "long")
    page.goto(f"{ui.address}/runs?run=long")
    state = page.locator("#runs-state")
    expect(state).to_contain_text("long: running ·", timeout=30_000)
    expect(page.locator("#runs-loss g.mark-line path").first).to_have_attribute("d", re.compile("M.*L"))
    page.reload()
    expect(page.locator("#runs-choice input")).to_have_value("long")
    expect(state).to_contain_text("left")
    expect(page.locator("#runs-loss svg.marks")).to_be_visible()
    expect(page.locator("#runs-resume")).to_be_disabled()
    shot(page, "runs")
    page.locator("#runs-stop").click()
    expect(page.get_by_text("Run long will save and stop in a moment.")).to_be_visible()
    expect(state).to_contain_text("long: stopped")
    run = ui.workspace.run("long")
    change_experiment(run, "epochs = 20000", "epochs = 1")
    page.locator("#runs-resume").click()
    expect(state).to_contain_text("long: done", timeout=30_000)
    expect(page.locator("#runs-table")).to_contain_text("ndcg@10")
    page.locator("#runs-delete").click()
    page.get_by_role("button", name="Delete permanently").click()
    expect(state).to_contain_text("first: done")
    expect(page).to_have_url(f"{ui.address}/runs?run=first")
    assert not run.path.exists()


def test_clone_opens_the_form(ui, page: Page) -> None:
    page.goto(f"{ui.address}/runs?run=first")
    page.locator("#runs-clone:not([disabled])").click()
    page.wait_for_url("**/train?run=first")
    expect(page.locator("#train-toml .cm-content")).to_contain_text('name = "synthetic"')
    expect(page.locator("#option-model-width input")).to_have_value("8", timeout=40_000)
    expect(page.locator("#train-note")).to_contain_text("valid")
    expect(page.locator("#train-run input, #train-run textarea")).to_have_value("first-2")
    page.goto(f"{ui.address}/train?run=nobody")
    expect(page.locator("#train-note")).to_contain_text("nobody is no run folder")


def test_fifty_runs_are_quick(workspace: Workspace) -> None:
    """Within the two seconds that a page has, and much quicker when nothing has changed."""
    step = {"kind": "step", "time": "now", "stage": "a", "epoch": 1, "loss": 1.0, "events_per_second": 1.0}
    lines = "".join(json.dumps({**step, "step": number}) + "\n" for number in range(1_000))
    for number in range(50):
        path = pretend(workspace, f"run-{number}", state="done", share=1.0)
        with (path / "events.jsonl").open("a") as stream:
            stream.write(lines)
    began = time.process_time()
    assert len(run_rows(workspace)) == 50
    assert len(loss_frame(workspace.file_cache.read(read_curves, path / "events.jsonl"), [])) == 1_010
    first = time.process_time() - began
    began = time.process_time()
    assert len(run_rows(workspace)) == 50
    again = time.process_time() - began
    assert again < first < 1.5
