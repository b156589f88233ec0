"""What an export answers, what lies beside it, and which options change it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import p5core
from p5core.errors import ExportError
from p5core.plugins.registry import Registry
from p5core.workflows.recommend import Recommender
from p5export.export import Exported, export_run
from p5export.graph.serving import ExportOptions


def silent(text: str) -> None:
    assert text


def ask(folder: Path, history: list[list[str]], k: int) -> list[Any]:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    inputs = {"history": np.array(history, dtype=object).reshape(len(history), -1), "k": np.array([k])}
    return session.run(["items", "scores"], inputs)


def test_odd_histories_are_answered(ids: list[str], exported: Exported, run: p5core.Run) -> None:
    recommender = Recommender.load(run.path)
    for history in (["é 1"], ["é 1", "é 1", "日本"], ids, ["007", "7"], ["nobody knows"], []):
        found, scores = ask(exported.folder, [history], 4)
        wanted = recommender.recommend(history, 4)
        n = len(wanted)
        assert found[0, :n].tolist() == [one.item for one in wanted]
        assert scores[0, :n] == pytest.approx([one.score for one in wanted], rel=1e-4, abs=1e-5)
        assert (found[0, n:] == "").all()
        assert np.isneginf(scores[0, n:]).all()


def test_padding_may_stand_anywhere_and_never_matters(exported: Exported) -> None:
    rows = [["", "é 1", "日本"], ["é 1", "", "日本"], ["é 1", "日本", ""], ["é 1", "unknown", "日本"]]
    found, scores = ask(exported.folder, rows, 5)
    assert (found == found[0]).all()
    assert scores == pytest.approx(np.repeat(scores[:1], 4, axis=0), rel=1e-5)


def test_only_the_newest_items_are_read_but_all_are_seen(ids: list[str], exported: Exported) -> None:
    long, short = [*ids[:4], *ids[5:11]], ids[5:11]
    found = ask(exported.folder, [long], 2)[0]
    assert found[0].tolist() == [item for item in ask(exported.folder, [short], 12)[0][0] if item not in long][:2]


def test_k_may_be_nothing_and_more_than_there_is(ids: list[str], exported: Exported) -> None:
    assert ask(exported.folder, [["7"]], 0)[0].shape == (1, 0)
    everything = ask(exported.folder, [["7"]], 1000)[0]
    assert sorted(everything[0]) == sorted(["", *(one for one in ids if one != "7")])


@pytest.mark.usefixtures("traced_once")
def test_options_change_what_is_answered(ids: list[str], run: p5core.Run, registry: Registry, tmp_path: Path) -> None:
    def exported(name: str, **options: Any) -> Path:
        return export_run(run, tmp_path / name, registry, ExportOptions(**options), silent).folder

    kept = exported("kept", exclude_seen=False)
    assert set(ask(kept, [["7", "007"]], 12)[0][0]) == set(ids)
    few = exported("few", allow=["007", "7", "日本"], metadata=["title", "price"])
    assert set(ask(few, [["7", "é 1"]], 5)[0][0]) == {"007", "日本", ""}
    titles = onnxruntime.InferenceSession(str(few / "model.onnx")).run(
        ["items", "title", "price"], {"history": np.array([["7"]], dtype=object), "k": np.array([1])}
    )
    assert titles[1][0, 0] == f"Title {ids.index(titles[0][0, 0])}"
    none = exported("none", popular=False)
    assert (ask(none, [["unknown"]], 3)[0] == "").all()
    short = exported("short", max_length=1)
    assert (ask(short, [["é 1", "7"]], 3)[0] != ask(short, [["7"]], 4)[0][:, :3]).sum() <= 3
    assert json.loads((short / "p5.json").read_text())["max_length"] == 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_length": 7}, "max_length 7 is more than the 6 items"),
        ({"allow": ["7", "nothing"]}, "1 items of the allow list are unknown to the run, such as 'nothing'"),
        ({"allow": []}, "The allow list is empty"),
        ({"metadata": ["titel"]}, "The items have no column 'titel'. Did you mean 'title'"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_leave_nothing(
    options: dict[str, Any], match: str, run: p5core.Run, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=match):
        export_run(run, tmp_path / "out" / "export", registry, ExportOptions(**options), silent)
    assert not (tmp_path / "out").exists()


def test_the_file_says_nothing_about_the_machine(exported: Exported, run: p5core.Run) -> None:
    model = onnx.load(exported.folder / "model.onnx")
    assert {one.domain: one.version for one in model.opset_import}[""] == 20
    assert model.ir_version == 10
    assert [one.name for one in model.graph.input] == ["history", "k"]
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    home, user = str(Path.home()), Path.home().name
    for path in exported.folder.iterdir():
        content = path.read_bytes()
        for trace in (b"Traceback", b".py", b"site-packages", b"torch", b"/tmp/", str(run.path).encode(), b"/home/"):
            assert trace not in content, (path.name, trace)
        assert home.encode() + b"/" not in content
        assert re.search(rb"\b" + user.encode() + rb"\b", content) is None


def test_the_same_run_gives_the_same_bytes(
    exported: Exported, run: p5core.Run, registry: Registry, tmp_path: Path
) -> None:
    again = export_run(run, tmp_path / "again", registry, say=silent)
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == {
        path.name: path.read_bytes() for path in exported.folder.iterdir()
    }


@pytest.mark.usefixtures("traced_once")
def test_an_export_replaces_an_older_one_and_nothing_else(
    exported: Exported, run: p5core.Run, registry: Registry, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(ExportError, match="exists and is no export; it is left alone"):
        export_run(run, folder, registry, say=silent)
    assert (folder / "thesis.txt").read_text() == "precious"
    (folder / "p5.json").write_text("{}")
    export_run(run, folder, registry, say=silent)
    assert not (folder / "thesis.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_the_card_names_figures_inputs_and_calls(exported: Exported) -> None:
    card = (exported.folder / "README.md").read_text()
    for wanted in (
        "| ndcg@10 |",
        "popularity",
        "cooccurrence",
        "`history`",
        "`candidates`",
        "BigInt64Array",
        "OrtSession",
    ):
        assert wanted in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    done = subprocess.run(
        [sys.executable, "-c", code[1] + "\nprint(items.shape)"],
        cwd=exported.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "(1, 5)", done.stderr
