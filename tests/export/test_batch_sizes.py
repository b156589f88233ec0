"""Histories and candidates of unequal numbers, and batches without a row, give what each row gives alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import p5core
from p5core.config.experiment import Experiment
from p5core.plugins.registry import Registry
from p5core.system.files import read_json
from p5export.export import export_run
from p5export.graph.serving import ExportOptions
from p5export.validation.verify import verify

Session = onnxruntime.InferenceSession

KINDS: dict[str, dict[str, Any]] = {
    "blend": {"backbone": "gru", "blend": [{"name": "cooccurrence", "n_neighbours": 5}]},
    "ratings": {"backbone": "bert", "task": "rating"},
    "users": {"backbone": "mf", "task": "rating"},
    "whole-numbers": {"backbone": "filter", "as_text": False, "blend": [{"name": "cooccurrence", "n_neighbours": 5}]},
}


@pytest.fixture(scope="module", params=list(KINDS))
def folder(
    request: pytest.FixtureRequest,
    experiment_of: Callable[..., Experiment],
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp(request.param)
    options = dict(KINDS[request.param])
    run = p5core.run(experiment_of(options.pop("backbone"), [{"name": "id"}], **options), path, "one", registry)
    chosen = ExportOptions(metadata=["title"])
    return export_run(run, path / "export", registry, chosen, lambda text: None).folder


def ids_of(folder: Path) -> np.ndarray[Any, Any]:
    """The whole catalogue, most popular first."""
    session = Session(folder / "model.onnx")
    who = session.get_inputs()[0]
    nobody = np.array([-1] if "int64" in who.type else ["nobody"], dtype=np.int64 if "int64" in who.type else object)
    found = session.run(["items"], {who.name: nobody.reshape(-1, *[1] * (len(who.shape) - 1)), "k": np.array([12])})[0]
    assert found.shape == (1, 12)
    return np.asarray(found)[0]


def people_of(folder: Path, ids: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    if "user" in read_json(folder / "p5.json")["inputs"]:
        return {"user": np.array(["user 1", "user 2", "nobody"], dtype=object)}
    return {"history": np.stack([ids[:3], ids[3:6], ids[6:9]])}


def test_one_row_of_candidates_serves_every_history(folder: Path) -> None:
    ids = ids_of(folder)
    people, candidates = people_of(folder, ids), ids[None, 2:7]
    session = Session(folder / "score.onnx")
    together = session.run(None, {**people, "candidates": candidates})
    (name, rows) = next(iter(people.items()))
    alone = [session.run(None, {name: rows[place : place + 1], "candidates": candidates}) for place in range(3)]
    for place, output in enumerate(together):
        assert output.shape == (3, 5)
        np.testing.assert_allclose(output, np.concatenate([one[place] for one in alone]), rtol=1e-4, atol=1e-5)
    assert not np.allclose(together[0][0], together[0][1])  # they are different people


def test_one_history_serves_every_row_of_candidates(folder: Path) -> None:
    ids = ids_of(folder)
    candidates = ids[:8].reshape(4, 2)
    session = Session(folder / "score.onnx")
    one = {name: rows[:1] for name, rows in people_of(folder, ids).items()}
    for together, flat in zip(
        session.run(None, {**one, "candidates": candidates}),
        session.run(None, {**one, "candidates": candidates.reshape(1, 8)}),
        strict=True,
    ):
        np.testing.assert_allclose(together.reshape(1, 8), flat, rtol=1e-4, atol=1e-5)


def test_other_unequal_numbers_are_an_error(folder: Path) -> None:
    ids = ids_of(folder)
    two = {name: rows[:2] for name, rows in people_of(folder, ids).items()}
    session = Session(folder / "score.onnx")
    with pytest.raises(Exception, match=r"[Ee]xpand"):
        session.run(None, {**two, "candidates": ids[:3].reshape(3, 1)})


@pytest.mark.parametrize("n_rows", [0, 1])
def test_no_history_gives_no_answers(folder: Path, n_rows: int) -> None:
    ids = ids_of(folder)
    nobody = {name: rows[:0] for name, rows in people_of(folder, ids).items()}
    candidates = np.broadcast_to(ids[:4], (n_rows, 4))
    assert [one.shape for one in Session(folder / "model.onnx").run(None, {**nobody, "k": np.array([5])})] == [
        (0, 5)
    ] * 3
    outputs = Session(folder / "score.onnx").run(None, {**nobody, "candidates": candidates})
    assert {one.shape for one in outputs} == {(0, 4)}


def test_the_golden_cases_hold_unequal_and_empty_batches(folder: Path) -> None:
    sizes = set()
    for case in read_json(folder / "golden.json")["score.onnx"]:
        sizes.add(tuple(_n_rows(case["inputs"][name]) for name in sorted(case["inputs"], reverse=True)))
    assert {(0, 0), (0, 1)} <= sizes
    assert any(people > 1 and rows == 1 for people, rows in sizes)
    assert any(people == 1 and rows > 1 for people, rows in sizes)
    assert verify(folder).n_cases == 24


def _n_rows(tensor: Any) -> int:
    return int(tensor["shape"][0]) if isinstance(tensor, dict) else len(tensor)
