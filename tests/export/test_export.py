"""Every kind of model becomes a file that answers as the network does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pandas as pd
import pytest
import torch

import p5core
from p5core.errors import ExportError
from p5core.experiment import Experiment, parse_experiment
from p5core.plugins import Registry, load_plugins
from p5core.recommender import Recommender
from p5export import export, onnxfile, parity, quantise
from p5export.export import Exported, export_run
from p5export.ops import Ops
from p5export.serving import ExportOptions, Serving
from p5export.vectors import item_vectors
from p5export.verify import verify

IDS = ["é 1", "日本", "007", "7", "with space", " lead", "quote'\"", "tab\there", "😀", "a|b", "-1", "NULL"]
MAX_LENGTH = 6


def events(as_text: bool) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [(user, int(item)) for user in range(40) for item in rng.choice(12, 8, replace=False)]
    frame = pd.DataFrame(rows, columns=["user", "item"])
    frame["rating"] = rng.integers(1, 6, len(frame)).astype(float)
    if as_text:
        frame["item"] = [IDS[item] for item in frame["item"]]
        frame["user"] = [f"user {user}" for user in frame["user"]]
    else:
        frame["item"] = frame["item"] * 2**58 - 3  # beyond what a double holds
    return frame


def items(as_text: bool) -> pd.DataFrame:
    ids = IDS if as_text else [place * 2**58 - 3 for place in range(12)]
    return pd.DataFrame(
        {
            "item": ids,
            "title": [f"Title {place}" for place in range(12)],
            "genre": ["a|b", "b", None] * 4,
            "price": [1.5, None, 3.0] * 4,
        }
    )


def experiment(
    backbone: str | dict[str, Any],
    encoders: list[dict[str, Any]],
    task: str = "next_item",
    as_text: bool = True,
    combine: str = "sum",
) -> Experiment:
    chosen = {"name": backbone} if isinstance(backbone, str) else backbone
    return parse_experiment(
        {
            "data": {"name": "dataframe", "interactions": events(as_text), "items": items(as_text)},
            "prepare": {"min_user_events": 1},
            "model": {
                "width": 8,
                "max_length": MAX_LENGTH,
                "encoders": encoders,
                "backbone": chosen,
                "combine": combine,
            },
            "stages": [{"tasks": [{"name": task}], "epochs": 1}],
            "evaluate": {"resamples": 10},
        }
    )


ID = [{"name": "id"}]
ALL = [*ID, {"name": "categories", "columns": ["genre"]}, {"name": "numbers", "columns": ["price"]}]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture(scope="module")
def run(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    """A run with text ids, content and ratings."""
    return p5core.run(experiment("gpt", ALL), tmp_path_factory.mktemp("runs"), "text", registry)


@pytest.fixture(scope="module")
def exported(run: p5core.Run, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_run(run, tmp_path_factory.mktemp("out") / "export", registry, say=silent)


def silent(text: str) -> None:
    assert text


def ask(folder: Path, history: list[list[str]], k: int) -> list[Any]:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    inputs = {"history": np.array(history, dtype=object).reshape(len(history), -1), "k": np.array([k])}
    return session.run(["items", "scores"], inputs)


BACKBONES = ["bert", "gpt", "gru", "lstm", "mf", "mlp"]


def test_all_built_in_backbones_are_exported(registry: Registry) -> None:
    assert sorted(registry.parts("backbone")) == BACKBONES


@pytest.mark.parametrize(
    ("backbone", "as_text"),
    [("bert", True), ("gpt", False), ("gru", True), ("lstm", False), ("mf", True), ("mf", False), ("mlp", False)],
)
def test_every_backbone_answers_as_its_network(
    backbone: str, as_text: bool, registry: Registry, tmp_path: Path
) -> None:
    run = p5core.run(experiment(backbone, ALL, as_text=as_text), tmp_path, "one", registry)
    made = export_run(run, tmp_path / "export", registry, ExportOptions(metadata=["title"]), silent)
    assert made.about["parity"]["cases"] == 64
    assert made.about["parity"]["exported"] == pytest.approx(made.about["parity"]["network"], abs=5e-5)
    assert made.about["id_kind"] == ("string" if as_text else "int64")
    assert set(made.about["inputs"]) == ({"user", "k"} if backbone == "mf" else {"history", "k"})


@pytest.mark.parametrize(
    ("encoders", "combine"),
    [
        (ID, "sum"),
        ([{"name": "categories", "columns": ["genre"]}], "sum"),
        ([{"name": "numbers", "columns": ["price"]}], "sum"),
        (ALL, "gated"),
    ],
    ids=["id", "categories", "numbers", "gated"],
)
def test_every_combination_of_encoders_is_baked_in(
    encoders: list[dict[str, Any]], combine: str, registry: Registry, tmp_path: Path
) -> None:
    run = p5core.run(experiment("mlp", encoders, combine=combine), tmp_path, "one", registry)
    assert export_run(run, tmp_path / "export", registry, say=silent).about["parity"]["largest_difference"] < 1e-4


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_recurrent_networks_with_attention_keep_a_dynamic_length(name: str, registry: Registry, tmp_path: Path) -> None:
    backbone = {"name": name, "attention": True, "n_layers": 2}
    run = p5core.run(experiment(backbone, ID), tmp_path, "one", registry)
    assert export_run(run, tmp_path / "export", registry, say=silent).about["parity"]["cases"] == 64


@pytest.mark.parametrize("backbone", ["bert", "mf"])
def test_ratings_come_out_in_rating_units(backbone: str, registry: Registry, tmp_path: Path) -> None:
    run = p5core.run(experiment(backbone, ALL, "rating"), tmp_path, "one", registry)
    made = export_run(run, tmp_path / "export", registry, say=silent)
    session = onnxruntime.InferenceSession(str(tmp_path / "export" / "score.onnx"))
    who = {"user": ["user 1"]} if backbone == "mf" else {"history": [IDS[:2]]}
    who = {name: np.array(value, dtype=object) for name, value in who.items()}
    candidates = np.array([[*IDS[3:6], "unheard of"]], dtype=object)
    ratings = session.run(["ratings"], {**who, "candidates": candidates})[0]
    assert ratings.shape == (1, 4)
    assert (abs(ratings - 3) < 2).all()
    assert set(made.about["parity"]["exported"]) == {"mae", "rmse"}


def test_odd_histories_are_answered(exported: Exported, run: p5core.Run) -> None:
    recommender = Recommender.load(run.path)
    for history in (["é 1"], ["é 1", "é 1", "日本"], IDS, ["007", "7"], ["nobody knows"], []):
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


def test_only_the_newest_items_are_read_but_all_are_seen(exported: Exported) -> None:
    long, short = [*IDS[:4], *IDS[5:11]], IDS[5:11]
    found = ask(exported.folder, [long], 2)[0]
    assert found[0].tolist() == [item for item in ask(exported.folder, [short], 12)[0][0] if item not in long][:2]


def test_k_may_be_nothing_and_more_than_there_is(exported: Exported) -> None:
    assert ask(exported.folder, [["7"]], 0)[0].shape == (1, 0)
    everything = ask(exported.folder, [["7"]], 1000)[0]
    assert sorted(everything[0]) == sorted(["", *(one for one in IDS if one != "7")])


def test_options_change_what_is_answered(run: p5core.Run, registry: Registry, tmp_path: Path) -> None:
    def exported(name: str, **options: Any) -> Path:
        return export_run(run, tmp_path / name, registry, ExportOptions(**options), silent).folder

    kept = exported("kept", exclude_seen=False)
    assert set(ask(kept, [["7", "007"]], 12)[0][0]) == set(IDS)
    few = exported("few", allow=["007", "7", "日本"], metadata=["title", "price"])
    assert set(ask(few, [["7", "é 1"]], 5)[0][0]) == {"007", "日本", ""}
    titles = onnxruntime.InferenceSession(str(few / "model.onnx")).run(
        ["items", "title", "price"], {"history": np.array([["7"]], dtype=object), "k": np.array([1])}
    )
    assert titles[1][0, 0] == f"Title {IDS.index(titles[0][0, 0])}"
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
        "neighbours",
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


@pytest.mark.parametrize("quantize", ["fp16", "int8", "weight8"])
@pytest.mark.parametrize("allow", [None, ["007", "7", "日本", "NULL"]], ids=["all", "few"])
def test_smaller_files_are_judged_by_their_ranking(
    quantize: str, allow: list[str] | None, run: p5core.Run, registry: Registry, tmp_path: Path
) -> None:
    said: list[str] = []
    options = ExportOptions(quantize=quantize, allow=allow, force=True)
    made = export_run(run, tmp_path / "export", registry, options, said.append)
    cost = made.about["quantized"]
    assert cost["overlap_at_10"] > 0.9
    assert cost["ndcg_at_10"] == pytest.approx(cost["plain_ndcg_at_10"], rel=0.1)
    assert any(f"{quantize}: " in line and "overlap@10" in line for line in said)
    assert "Quantised (" in (made.folder / "README.md").read_text()
    assert verify(made.folder).n_cases == 24
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_quantised_file_that_lost_too_much_is_refused(
    run: p5core.Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "MIN_OVERLAP", 1.1)
    options = ExportOptions(quantize="int8")
    with pytest.raises(ExportError, match=r"At most 1% of NDCG@10 may be lost, .* Keep the file with --force"):
        export_run(run, tmp_path / "export", registry, options, silent)
    assert list(tmp_path.iterdir()) == []
    forced = ExportOptions(quantize="int8", force=True)
    assert export_run(run, tmp_path / "export", registry, forced, silent).folder.is_dir()


def test_the_table_is_stored_once_in_eight_bits() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 48)).astype(np.float32)
    for quantize, share in {"none": 1.0, "fp16": 0.5, "weight8": 0.36, "int8": 0.28}.items():
        graph = ir.Graph([], [], nodes=[], opset_imports={"": 20}, name="g")
        ops = Ops(graph)
        codes = ir.Value(name="codes", shape=ir.Shape(["n"]), type=ir.TensorType(ir.DataType.INT64))
        states = ir.Value(name="states", shape=ir.Shape(["b", 48]), type=ir.TensorType(ir.DataType.FLOAT))
        table = item_vectors(ops, rows, quantize)
        outputs = [table.look_up(codes), table.scores(states)]
        for output in outputs:
            output.type = ir.TensorType(ir.DataType.FLOAT)
        graph.inputs.extend([codes, states])
        graph.outputs.extend(outputs)
        ops.finish()
        graph.opset_imports["com.microsoft"] = 1
        content = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
        assert len(content) < share * rows.nbytes + 5_000
        state = np.random.default_rng(1).normal(size=(3, 48)).astype(np.float32)
        inputs = {"codes": np.array([3, 999, 0]), "states": state}
        found, scores = onnxruntime.InferenceSession(content).run(None, inputs)
        assert np.abs(found - rows[[3, 999, 0]]).max() < (1e-9 if quantize == "none" else 0.02)
        assert np.abs(scores - state @ rows.T).max() < (1e-4 if quantize == "none" else 0.4)


def test_weights_that_no_single_file_can_hold_lie_beside_it(
    run: p5core.Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxfile, "SINGLE_FILE_LIMIT", 100)
    folder = export_run(run, tmp_path / "export", registry, say=silent).folder
    assert (folder / "model.onnx.data").stat().st_size > 1000
    assert verify(folder).n_cases == 24
    (folder / "model.onnx.data").write_bytes(bytes((folder / "model.onnx.data").stat().st_size))
    with pytest.raises(ExportError, match=r"model\.onnx\.data was changed after the export"):
        verify(folder)


def test_a_network_that_does_not_match_is_never_handed_over(
    run: p5core.Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = export.ranking_graph

    def wrong(states: ir.Model, serving: Serving) -> ir.Model:
        return shown(states, replace(serving, vectors=serving.vectors * 1.01))

    monkeypatch.setattr(export, "ranking_graph", wrong)
    with pytest.raises(ExportError, match=r"The export differs from the network: scores are .* and should be"):
        export_run(run, tmp_path / "export", registry, say=silent)
    assert list(tmp_path.iterdir()) == []


def test_another_order_of_scores_is_noticed_in_the_metrics(
    run: p5core.Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity.ExportedScorer, "scores", lambda self, users, histories: torch.zeros(len(users), 12))
    with pytest.raises(ExportError, match=r"Measured through ONNX Runtime .* the network has"):
        export_run(run, tmp_path / "export", registry, say=silent)
    assert list(tmp_path.iterdir()) == []


def test_a_frozen_dimension_is_noticed(
    run: p5core.Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = export.ranking_graph

    def frozen(states: ir.Model, serving: Serving) -> ir.Model:
        model = shown(states, serving)
        model.graph.inputs[0].shape = ir.Shape(["batch", 5])
        return model

    monkeypatch.setattr(export, "ranking_graph", frozen)
    with pytest.raises(ExportError, match=r"The input 'history' came out with the fixed shape"):
        export_run(run, tmp_path / "export", registry, say=silent)
