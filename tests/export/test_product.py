"""Product quantisation: codes, what they stand for, and the graph that reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import set_blend_weights

import p5core
from p5core.config.experiment import Experiment
from p5core.errors import ExportError
from p5core.fitting.trained_model import load_model, load_run_data
from p5core.plugins.registry import Registry
from p5export.bundle.onnx_file import write_model
from p5export.export import export_run
from p5export.graph.operations import Ops
from p5export.graph.requests import ranking_graph, scoring_graph
from p5export.graph.serving import ExportOptions, serving_of
from p5export.graph.states import export_states
from p5export.quantisation.item_vectors import item_vectors
from p5export.quantisation.product import Product
from p5export.validation.verify import verify

Floats = npt.NDArray[np.float32]


def clustered(n: int, width: int, seed: int = 0) -> Floats:
    """Vectors around 40 centres, as those of items of one kind lie."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, width))
    return (centres[rng.integers(40, size=n)] + 0.3 * rng.normal(size=(n, width))).astype(np.float32)


def silent(text: str) -> None:
    assert text


def session(product: Product, places: npt.NDArray[np.int64] | None = None) -> tuple[onnxruntime.InferenceSession, int]:
    """A graph of `codes` (…) and `states` (B, D) → vectors and scores; and its bytes."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 20}, name="g")
    ops = Ops(graph)
    codes = ir.Value(name="codes", shape=ir.Shape(["n", "m"]), type=ir.TensorType(ir.DataType.INT64))
    states = ir.Value(name="states", shape=ir.Shape(["b", len(product.basis)]), type=ir.TensorType(ir.DataType.FLOAT))
    table = item_vectors(ops, product, "product")
    outputs = [table.look_up(codes), (table if places is None else table.only(places)).scores(states)]
    for output in outputs:
        output.type = ir.TensorType(ir.DataType.FLOAT)
    graph.inputs.extend([codes, states])
    graph.outputs.extend(outputs)
    ops.finish()
    content = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    return onnxruntime.InferenceSession(content), len(content)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 700), st.integers(1, 13), st.integers(1, 13), st.integers(1, 4))
def test_the_graph_computes_what_numpy_computes_from_the_codes(n: int, width: int, pieces: int, batch: int) -> None:
    product = Product.fit(clustered(n, width), min(pieces, width))
    rng = np.random.default_rng(1)
    states = rng.normal(size=(batch, width)).astype(np.float32)
    codes, places = rng.integers(0, n, (2, 3)), rng.integers(0, n, 5)
    vectors, scores = session(product)[0].run(None, {"codes": codes, "states": states})
    np.testing.assert_allclose(vectors, product.rows()[codes], atol=1e-4)
    np.testing.assert_allclose(scores, states @ product.rows().T, atol=1e-3)
    few = session(product, places)[0].run(None, {"codes": codes, "states": states})[1]
    np.testing.assert_allclose(few, scores[:, places], atol=1e-5)


def test_codes_name_the_nearest_centroids_and_are_the_same_each_time() -> None:
    rows = clustered(1500, 12)
    product, again = Product.fit(rows, 3), Product.fit(rows, 3)
    for name in ("basis", "centroids", "codes"):
        assert getattr(product, name).tobytes() == getattr(again, name).tobytes()
    for piece, own, codes in zip(
        np.split(rows @ product.basis, 3, axis=1), product.centroids, product.codes.T, strict=True
    ):
        far = ((piece[:, None] - own) ** 2).sum(axis=2)
        np.testing.assert_allclose(far[np.arange(1500), codes], far.min(axis=1), atol=1e-5)


def test_turning_keeps_dot_products_and_shares_the_variance() -> None:
    rows = clustered(2000, 16) * np.logspace(0, -2, 16, dtype=np.float32)
    product = Product.fit(rows, 4)
    np.testing.assert_allclose(product.basis @ product.basis.T, np.eye(16), atol=1e-5)
    exact = np.abs(product.rows() - rows).mean()
    assert exact < 0.15 * np.abs(rows).mean()
    finer = np.abs(Product.fit(rows, 8).rows() - rows).mean()
    assert finer < 0.5 * exact


def test_few_vectors_are_their_own_centroids() -> None:
    rows = clustered(200, 10)
    np.testing.assert_allclose(Product.fit(rows, 3).rows(), rows, atol=1e-5)


def test_a_large_table_becomes_a_sixteenth() -> None:
    rows = clustered(20_000, 32)
    product = Product.fit(rows)
    assert product.codes.shape == (20_000, 8)
    assert session(product)[1] < rows.nbytes / 16 + product.centroids.nbytes + product.basis.nbytes + 20_000


def test_pieces_that_cannot_be_are_refused(run: p5core.Run, registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"Vectors of 4 entries cannot be cut into 5 pieces; choose 1 to 4"):
        Product.fit(clustered(10, 4), 5)
    with pytest.raises(ExportError, match=r"by --quantize product alone; leave --subvectors out"):
        export_run(run, tmp_path / "export", registry, ExportOptions(quantize="int8", subvectors=2))


def test_a_table_that_loses_too_much_is_refused_and_the_same_bytes_come_twice(
    experiment_of: Callable[..., Experiment], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = p5core.run(experiment_of("mlp", [{"name": "id"}]), tmp_path, "one", registry)
    monkeypatch.setattr("p5export.quantisation.product.N_CENTROIDS", 2)  # twelve items are too few for 256
    monkeypatch.setattr("p5export.quantisation.item_vectors.N_CENTROIDS", 2)
    options = ExportOptions(quantize="product", subvectors=1)
    with pytest.raises(ExportError, match=r"^product: .* items must stay"):
        export_run(run, tmp_path / "export", registry, options, silent)
    forced = ExportOptions(quantize="product", subvectors=1, force=True)
    first, second = (export_run(run, tmp_path / name, registry, forced, silent) for name in ("a", "b"))
    assert first.manifest["files"] == second.manifest["files"]
    assert first.manifest["subvectors"] == 1
    assert verify(first.folder).n_cases == 24


def test_it_works_in_a_blend(
    experiment_of: Callable[..., Experiment], registry: Registry, tmp_path: Path, ids: list[str]
) -> None:
    blend = [{"name": "cooccurrence", "n_neighbours": 5, "n_recent": 3}]
    run = p5core.run(experiment_of("gpt", [{"name": "id"}], blend=blend), tmp_path, "one", registry)
    set_blend_weights(run, 0.7, 1.3)
    data = load_run_data(run, registry)
    trained = load_model(run, data, registry)
    answers = []
    for quantize in ("none", "product"):  # of twelve items every vector is its own centroid
        options = ExportOptions(quantize=quantize, allow=ids[2:9])
        serving = serving_of(trained, data.target.dataset, options)
        states = export_states(serving)
        write_model(ranking_graph(states, serving), tmp_path / "model.onnx")
        write_model(scoring_graph(states, serving, {}), tmp_path / "score.onnx")
        history = np.array([ids[:3], ids[4:7]], dtype=object)
        model, score = (onnxruntime.InferenceSession(tmp_path / name) for name in ("model.onnx", "score.onnx"))
        found = model.run(["scores"], {"history": history, "k": np.array([4])})
        answers.append([*found, *score.run(None, {"history": history, "candidates": history})])
    for plain, small in zip(*answers, strict=True):
        np.testing.assert_allclose(small, plain, atol=1e-4)
