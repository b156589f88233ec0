"""Options of the command, what an export is shown as, and the way from a run to a verified zip."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from p5core.errors import ExportError, RunError
from p5core.runs.run import Run
from p5core.system.files import write_json
from p5export.cli.export import export
from p5ui.pages.export.actions import (
    ask_export,
    columns_of,
    command_line,
    export_facts,
    export_options,
    measure_latency,
    verified,
)
from p5ui.server.viewer import Viewer
from p5ui.workspace.workspace import Workspace


def test_every_option_of_the_command_is_in_the_form() -> None:
    names = {one.name for one in export_options()}
    assert names == {one.name for one in export.params} - {"run", "output", "key"}
    assert all(one.help for one in export_options())


def test_the_form_makes_the_command_line(tmp_path: Path) -> None:
    options = export_options()
    plain = {"flag": False, "choice": "none", "number": 0, "texts": [], "file": None}
    assert command_line(Run(tmp_path), options, [plain[one.kind] for one in options]) == ["export", str(tmp_path)]
    filled: dict[str, Any] = {
        "flag": True,
        "choice": "int8",
        "number": 20.0,
        "texts": ["title", "a b"],
        "file": "x.txt",
    }
    line = command_line(Run(tmp_path), options, [filled[one.kind] for one in options])
    context = export.make_context("export", line[1:], resilient_parsing=True)
    assert context.params["columns"] == ("title", "a b")
    assert context.params["max_length"] == 20
    assert context.params["quantize"] == "int8"
    assert all(context.params[one.name] is True for one in options if one.kind == "flag")
    assert line[line.index("--allow") + 1] == "x.txt"


def test_columns_are_those_of_the_items(ui) -> None:
    assert columns_of(ui.workspace.run("first")) == ["title", "category", "tags", "price"]


def test_an_export_that_failed_says_why(ui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p5core.runs.jobs.Jobs._advance", lambda jobs: None)
    workspace = Workspace(tmp_path, ui.workspace.registry)
    shutil.copytree(ui.workspace.runs / "first", workspace.runs / "a", ignore=shutil.ignore_patterns("export*"))
    assert export_facts(workspace, "a") == {"state": "", "message": ""}
    ask_export(workspace, "a", [])
    job = workspace.jobs.all()[-1]
    assert export_facts(workspace, "a")["state"] == "queued"
    write_json(job.path / "start.json", {"pid": 2**22 + 1, "born": "1"})
    write_json(job.path / "end.json", {"code": 1})
    (job.path / "output.txt").write_text("much\nError: Parity lost.\n")
    assert export_facts(workspace, "a") == {"state": "failed", "message": "Parity lost."}
    (workspace.runs / "a" / "metrics.json").unlink()
    with pytest.raises(RunError, match="has no metrics yet"):
        ask_export(workspace, "a", [])


class Slow:
    """Stands for a model: every tenth request is slow."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def recommend(self, who: Any, k: int) -> None:
        self.asked.append(who)


def test_latency_is_bounded_by_time_and_asks_in_turns() -> None:
    model = Slow()
    found = measure_latency(model, ["a", "b"], seconds=0.0)  # type: ignore[arg-type]
    assert found.n == 1
    assert model.asked == ["a", "b", "a"]
    found = measure_latency(model, ["a"], seconds=60)  # type: ignore[arg-type]
    assert found.n == 2_000
    assert 0 <= found.p50 <= found.p95


def test_an_odd_zip_is_refused_in_a_sentence(ui, tmp_path: Path) -> None:
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.txt", "x")
    is_good, text = verified(ui.workspace, path)
    assert not is_good
    assert text == "odd.zip holds '../../evil.txt', which is no file of an export. It was not unpacked."


def test_a_missing_netron_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("p5ui.server.viewer.find_spec", lambda name: None)
    with pytest.raises(ExportError, match="pip install netron"):
        Viewer().show(tmp_path / "model.onnx")


NETRON = """
import http.server, threading

def start(path, address, browse):
    assert path.endswith("model.onnx") and browse is False
    server = http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
"""


def test_one_graph_is_served_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netron.py").write_text(NETRON)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    with Viewer() as viewer:
        first = viewer.show(tmp_path / "model.onnx")
        assert first.startswith("http://127.0.0.1:")
        with pytest.raises(ExportError, match="Netron could not be started"):
            viewer.show(tmp_path / "model.txt")


def test_an_upload_that_is_none_gets_a_sentence(ui, page: Page, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x")
    page.goto(f"{ui.address}/export")
    page.locator("#export-upload input[type=file]").set_input_files(path)
    expect(page.locator("#export-verdict")).to_contain_text("model.onnx is no zip file.")
