"""Exports in other languages: Node, and a page in a real browser, against the golden cases and against Python."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import installed, run, tool
from p5export.bundle.model_card import node_call
from p5export.runtime import OnnxRecommender


def test_a_missing_tool_skips_and_fails_where_nothing_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "no-such-tool or no-other is not installed"
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=reason):
        tool("no-such-tool", "no-other")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=reason):
        tool("no-such-tool", "no-other")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("node", tmp_path_factory)


def node_says(node: Path, folder: Path, expression: str) -> Any:
    """What an expression of the client `model` gives, or the message of its error."""
    code = f"""
        import {{ open }} from "./open.mjs";
        const model = await open({json.dumps(str(folder))});
        const found = await (async () => {expression})().catch((error) => error.message);
        const plain = (_, value) => typeof value === "bigint" || value === -Infinity ? String(value) : value;
        console.log(JSON.stringify(found, plain));
    """
    return json.loads(run(tool("node"), "--input-type=module", "-e", code, cwd=node))


def node_answers(node: Path, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(run(tool("node"), "recommend.mjs", folder, *arguments, cwd=node)))


def test_node_gives_the_golden_answers(node: Path, texts: Path, numbers: Path, whole: Path) -> None:
    for folder in (texts, numbers, whole):
        assert "24 golden cases give the same answers" in run(tool("node"), "verify.mjs", folder, cwd=node)


@pytest.mark.parametrize("wrong", ["null", "undefined", "NaN", "1.5", "true", "{}", "[1]", "Infinity", "2 ** 53"])
def test_what_is_no_id_never_becomes_one_in_javascript(node: Path, texts: Path, whole: Path, wrong: str) -> None:
    for folder, kind in ((texts, "texts"), (whole, "64-bit integers")):
        for ask in (f"model.recommend([{wrong}])", f"model.score([], [{wrong}])"):
            assert node_says(node, folder, ask).startswith(f"The ids of this model are {kind}; got ")


def test_a_nul_never_cuts_an_id_into_another(node: Path, texts: Path) -> None:
    found = node_says(node, texts, 'model.score(["7"], ["7", "7\\0one", "a|b"])')["scores"]
    assert (found[0] == "-Infinity", found[1], found[2] == "-Infinity") == (False, "-Infinity", False)
    nobody = node_says(node, texts, 'model.recommend(["7\\0one"], 5)')
    assert nobody == node_says(node, texts, "model.recommend([], 5)")


def test_many_histories_are_no_stack_overflow(node: Path, texts: Path) -> None:
    assert (
        node_says(node, texts, "model.recommendBatch(Array(200_000).fill([]), 0).then((found) => found.length)") == 2e5
    )


def test_node_answers_from_one_version(node: Path, texts: Path, numbers: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(texts, tmp_path / "export"))
    code = f"""
        import {{ open }} from "./open.mjs";
        import {{ cp }} from "node:fs/promises";
        const model = await open({json.dumps(str(folder))});
        await model.recommend([], 3);
        await cp({json.dumps(str(numbers))}, {json.dumps(str(folder))}, {{ recursive: true, force: true }});
        console.log(await model.score([], ["7"]).then(JSON.stringify, (error) => error.message));
    """
    said = run(tool("node"), "--input-type=module", "-e", code, cwd=node)
    assert "score.onnx is not the file that p5.json lists: the export was changed or replaced. Open it again." in said


def test_an_export_of_a_later_format_is_refused_in_javascript(node: Path, texts: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(texts, tmp_path / "export"))
    manifest = json.loads((folder / "p5.json").read_text())
    (folder / "p5.json").write_text(json.dumps({**manifest, "format": 3}))
    done = subprocess.run(
        [tool("node"), "recommend.mjs", folder], cwd=node, capture_output=True, text=True, check=False
    )
    assert "This export has format 3; this client reads 1 and 2." in done.stderr


def wrong_score(case: dict[str, Any]) -> str:
    case["outputs"]["scores"][0][0] += 0.01
    return r"scores\[0\] is"


def wrong_infinity(case: dict[str, Any]) -> str:
    case["outputs"]["scores"][0][0] = None
    return r"scores\[0\] is .*, was -Infinity"


def wrong_item(case: dict[str, Any]) -> str:
    case["outputs"]["items"][0][0] = "another"
    return r"items\[0\] is .*, was another"


def wrong_shape(case: dict[str, Any]) -> str:
    case["outputs"]["scores"][0].pop()
    return "scores has shape"


@pytest.mark.parametrize("change", [wrong_score, wrong_infinity, wrong_item, wrong_shape])
def test_node_notices_a_wrong_answer(
    node: Path, texts: Path, tmp_path: Path, change: Callable[[dict[str, Any]], str]
) -> None:
    folder = shutil.copytree(texts, tmp_path / "copy")
    golden = json.loads((folder / "golden.json").read_text())
    message = change(golden["model.onnx"][2])
    (folder / "golden.json").write_text(json.dumps(golden))
    done = subprocess.run(
        [tool("node"), "verify.mjs", str(folder)], cwd=node, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.search(f"model.onnx, case 2: {message}", done.stderr)


def test_node_answers_as_python(node: Path, texts: Path, numbers: Path, ids: list[str]) -> None:
    python = OnnxRecommender(texts)
    for history in (ids[:3], ids[5:6], [], ["unheard of", ids[0]]):
        found = node_answers(node, texts, *history, "--k", "4")
        wanted = python.recommend(history, 4)
        assert [one["item"] for one in found] == [one.item for one in wanted]
        assert [one["title"] for one in found] == [one.metadata["title"] for one in wanted]
        assert [one["score"] for one in found] == pytest.approx([one.score for one in wanted], rel=1e-4, abs=1e-5)
    wanted = OnnxRecommender(numbers).recommend(7, 4)
    assert [int(one["item"]) for one in node_answers(node, numbers, "7", "--k", "4")] == [one.item for one in wanted]


def test_node_scores_as_python(node: Path, texts: Path, numbers: Path, ids: list[str]) -> None:
    candidates = [ids[1], ids[8], "unheard of"]
    found = node_says(node, texts, f"model.score({json.dumps(ids[:2])}, {json.dumps(candidates)})")["scores"]
    wanted = OnnxRecommender(texts).score(ids[:2], candidates)
    assert [float(one) for one in found] == pytest.approx(wanted.tolist(), rel=1e-4, abs=1e-5)
    assert found[2] == "-Infinity"
    item = 5 * 2**58 - 3
    found = node_says(node, numbers, f"model.score(7, [{item}n, 1])")
    python = OnnxRecommender(numbers)
    assert float(found["scores"][0]) == pytest.approx(float(python.score(7, [item])[0]), rel=1e-4, abs=1e-5)
    assert found["ratings"] == pytest.approx(python.ratings(7, [item, 1]).tolist(), rel=1e-4, abs=1e-5)


def test_node_recommends_for_several_as_python(node: Path, whole: Path) -> None:
    many = [[5 * 2**58 - 3, 2**58 - 3], [], [1, 2**58 - 3]]
    histories = json.dumps([[str(one) for one in history] for history in many])
    found = node_says(node, whole, f"model.recommendBatch({histories}, 3)")
    wanted = OnnxRecommender(whole).recommend_batch(many, 3)
    assert [len(one) for one in found] == [3, 0, 3]
    assert [[int(one["item"]) for one in row] for row in found] == [[one.item for one in row] for row in wanted]
    assert node_says(node, whole, "model.recommendBatch([], 3)") == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("model.recommend([2n ** 64n + 5n])", "The ids of this model are 64-bit integers; got 18446744073709551621."),
        ("model.recommend([2 ** 53])", "The ids of this model are 64-bit integers; got 9007199254740992."),
        ("model.recommend([1.5])", "The ids of this model are 64-bit integers; got 1.5."),
        ("model.recommend([''])", "The ids of this model are 64-bit integers; got ."),
        ("model.score([], ['x'])", "The ids of this model are 64-bit integers; got x."),
        ("model.recommend('50')", "A history is a list of item ids, oldest first; got 50."),
        ("model.recommend([], -1)", "k is -1; ask for 0 items or more."),
    ],
)
def test_node_refuses_what_the_model_would_misread(node: Path, whole: Path, expression: str, message: str) -> None:
    assert node_says(node, whole, expression) == message


def test_node_refuses_a_history_for_a_model_of_users(node: Path, numbers: Path) -> None:
    assert node_says(node, numbers, "model.recommend([1])") == (
        "This model reads no history. Give a user instead of a list."
    )


def test_the_three_lines_for_node_work_as_they_are_printed(node: Path, texts: Path, numbers: Path) -> None:
    for folder in (texts, numbers):
        call = node_call(json.loads((folder / "p5.json").read_text()), str(folder / "model.onnx"))
        assert call.count("\n") == 2
        (node / "call.cjs").write_text(call)
        assert len(run(tool("node"), "call.cjs", cwd=node).split(",")) >= 4
