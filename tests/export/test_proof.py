"""An export that would not be equal, or would lose too much, is not handed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch

import p5core
from p5core.errors import ExportError
from p5core.plugins.registry import Registry
from p5export import export
from p5export.bundle import onnx_file
from p5export.export import export_run
from p5export.graph.operations import Ops
from p5export.graph.serving import ExportOptions, Serving
from p5export.quantisation import cost
from p5export.quantisation.item_vectors import item_vectors
from p5export.validation import sessions
from p5export.validation.verify import verify

pytestmark = pytest.mark.usefixtures("traced_once")


def silent(text: str) -> None:
    assert text


@pytest.mark.parametrize(
    ("quantize", "allow"),
    [
        *[(kind, None) for kind in ("fp16", "int8", "weight8", "product")],
        *[(kind, ["007", "7", "日本", "NUL"]) for kind in ("int8", "product")],
    ],
    ids=["fp16", "int8", "weight8", "product", "few-int8", "few-product"],
)
def test_smaller_files_are_judged_by_their_ranking(
    quantize: str, allow: list[str] | None, run: p5core.Run, registry: Registry, tmp_path: Path
) -> None:
    said: list[str] = []
    options = ExportOptions(quantize=quantize, allow=allow, force=True)
    made = export_run(run, tmp_path / "export", registry, options, said.append)
    lost = made.manifest["quantized"]
    assert lost["overlap_at_10"] > 0.9
    assert lost["ndcg_at_10"] == pytest.approx(lost["plain_ndcg_at_10"], rel=0.1)
    assert any(f"{quantize}: " in line and "overlap@10" in line for line in said)
    assert "Quantised (" in (made.folder / "README.md").read_text()
    assert verify(made.folder).n_cases == 24
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_quantised_file_that_lost_too_much_is_refused(
    run: p5core.Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "MIN_OVERLAP", 1.1)
    options = ExportOptions(quantize="int8")
    with pytest.raises(ExportError, match=r"At most 1% of NDCG@10 may be lost, .* Keep the file with --force"):
        export_run(run, tmp_path / "export", registry, options, silent)
    with pytest.raises(ExportError, match=r"Keep the file with --force, choose more --subvectors, or choose another"):
        export_run(run, tmp_path / "export", registry, ExportOptions(quantize="product"), silent)
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
    monkeypatch.setattr(onnx_file, "SINGLE_FILE_LIMIT", 100)
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
    monkeypatch.setattr(sessions.ExportedScorer, "scores", lambda self, users, histories: torch.zeros(len(users), 12))
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
