"""What a script or an MCP client is offered by name, and that it answers as the plain functions do."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from p5core.workflows.recommend import Recommender
from p5ui.pages.data.profile_view import diagnose
from p5ui.pages.recommend.answers import Answers
from p5ui.pages.runs.run_list import ACTIVE, find_row, run_rows

OFFERED = {"examine", "start_run", "runs", "stop_run", "resume_run", "figures", "recommend", "export_run", "exported"}


def as_sent(answer: Any) -> Any:
    """What is left of an answer on its way: tuples become lists."""
    return json.loads(json.dumps(answer))


def test_only_what_has_a_name_is_offered(script: Client) -> None:
    offered = script.view_api(return_format="dict")
    assert offered["named_endpoints"].keys() == {f"/{name}" for name in OFFERED}
    assert offered["unnamed_endpoints"] == {}
    for private in ("/_start", "/_save", "/act"):
        with pytest.raises(ValueError, match="Cannot find a function"):
            script.predict(api_name=private)


def test_examine(ui, script: Client, shop: str) -> None:
    (ui.workspace.folder / "asked.csv").write_text(shop)
    found = script.predict("asked.csv", api_name="/examine")
    plain = diagnose(ui.workspace, {"name": "table", "path": "asked.csv"}, None, None)
    assert plain.report is not None
    assert found["read"] == as_sent(plain.whole.to_dict())
    assert found["cleaned"] == as_sent(plain.report.to_dict())
    assert [one["subject"] for one in found["merits"]] == ["order", "histories", "ratings", "content"]
    with pytest.raises(AppError, match="is not below the working folder"):
        script.predict("/etc/passwd", api_name="/examine")


def test_a_run_is_started_and_stopped(ui, script: Client, small: str) -> None:
    with pytest.raises(AppError, match="unknown option 'layers'"):
        script.predict(small.replace("n_layers", "layers"), "scripted", api_name="/start_run")
    assert script.predict(small, "scripted", api_name="/start_run") == "scripted"
    with pytest.raises(AppError, match="'scripted'"):
        script.predict(small, "scripted", api_name="/start_run")
    listed = {row["name"]: row for row in script.predict(api_name="/runs")}
    assert listed.keys() == {row.name for row in run_rows(ui.workspace)}
    assert listed["scripted"]["state"] in ACTIVE
    row = find_row(ui.workspace, "first")
    assert row is not None
    assert listed["first"] == as_sent(asdict(row))
    assert script.predict("scripted", api_name="/stop_run") == "scripted"
    with pytest.raises(AppError, match="Run 'first' is not running; there is nothing to stop"):
        script.predict("first", api_name="/stop_run")
    with pytest.raises(AppError, match="'first'"):
        script.predict("first", api_name="/resume_run")


def test_figures(ui, script: Client) -> None:
    found = script.predict("first", api_name="/figures")
    assert found == ui.workspace.run("first").metrics().model_dump(mode="json")
    assert {"model", "popularity"} <= found["test"].keys()
    with pytest.raises(AppError, match="is no run folder"):
        script.predict("nothing", api_name="/figures")


def test_recommend(ui, script: Client) -> None:
    history = Answers(ui.workspace).history("first", "1")
    found = script.predict(run="first", history=history, k=3, api_name="/recommend")
    wanted = Recommender.load(ui.workspace.run("first")).recommend(history, 3)
    assert [one["item"] for one in found] == [one.item for one in wanted]
    assert found[0]["reasons"]
    with pytest.raises(AppError, match="is no run folder"):
        script.predict(run="../first", history=history, k=3, api_name="/recommend")


def test_an_export_is_begun_and_stopped(ui, script: Client) -> None:
    assert script.predict("first", ["title"], api_name="/export_run") == "first"
    job = ui.workspace.jobs.of("first")
    assert job.arguments == ["export", str(ui.workspace.runs / "first"), "--column", "title"]
    assert script.predict("first", api_name="/exported")["state"] in ACTIVE
    script.predict("first", api_name="/stop_run")
    while job.state() in ACTIVE:
        time.sleep(0.05)
    shutil.rmtree(job.path)
    with pytest.raises(AppError, match="is no run folder"):
        script.predict("nothing", [], api_name="/export_run")


def test_exported(ui, script: Client, exported: Path) -> None:
    about = json.loads((exported / "p5.json").read_text())
    assert script.predict("first", api_name="/exported") == {
        "state": "", "message": "", "folder": "runs/first/export", "files": about["files"], "parity": about["parity"],
    }  # fmt: skip
    with pytest.raises(AppError, match="is no run folder"):
        script.predict("nothing", api_name="/exported")


WRONG = (
    ("/recommend", ("first", None, 3), "history: Input should be a valid list"),
    ("/recommend", ("first", ["x", None], 3), "history.1"),
    ("/recommend", ("first", [], -1), "k: Input should be greater than or equal to 1"),
    ("/recommend", ("first", [], 10**9), "k: Input should be less than or equal to 10000"),
    ("/recommend", ("first", [], "x"), "k: Input should be a valid integer"),
    ("/recommend", ("n" * 5_000, [], 3), ""),
    ("/examine", ("x" * 5_000,), ""),
    ("/examine", (None,), "file: Input should be a valid string"),
    ("/start_run", ("x = " + "[" * 20_000, "x"), "nested too deeply"),
    ("/start_run", ("{b=" * 3_000, "x"), ""),
    ("/start_run", (None, "x"), "experiment: Input should be a valid string"),
    ("/start_run", ("a = 1\n" * 400_000, "x"), "experiment: String should have at most"),
    ("/figures", ("n" * 5_000,), ""),
    ("/exported", ("n" * 5_000,), ""),
    ("/stop_run", (None,), "run: Input should be a valid string"),
    ("/resume_run", ("n" * 5_000,), ""),
    ("/resume_run", (5,), "run: Input should be a valid string; got '5'"),
)
"""Endpoint, arguments, and a part of the sentence that they get."""


@pytest.mark.parametrize(("endpoint", "arguments", "said"), WRONG, ids=[f"{nth}" for nth in range(len(WRONG))])
def test_wrong_arguments_get_a_sentence(script: Client, endpoint: str, arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AppError) as refused:
        script.predict(*arguments, api_name=endpoint)
    text = str(refused.value)
    assert said in text
    assert len(text) > 10
    assert "upstream Gradio app has raised an exception" not in text
