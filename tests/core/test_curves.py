"""Curves: steps through all stages, what was done again counts once, broken lines wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p5core.runs.curves import best_figures, read_curves, thinned


def step(stage: str, number: int, loss: float = 1.0) -> dict[str, Any]:
    figures = {"stage": stage, "epoch": 1, "step": number, "loss": loss, "events_per_second": 10.0}
    return {"kind": "step", "time": "now", **figures}


def validation(stage: str, number: int, best: bool, value: float) -> dict[str, Any]:
    figures = {"stage": stage, "epoch": 1, "step": number, "loss": 1.0, "best": best, "share": 0.5, "ndcg@10": value}
    return {"kind": "validation", "time": "now", **figures}


def write(folder: Path, *records: dict[str, Any], end: str = "") -> Path:
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records) + end)
    return path


def test_steps_go_on_from_stage_to_stage(tmp_path: Path) -> None:
    events = write(
        tmp_path, step("a", 5), validation("a", 10, True, 0.1), {"kind": "stage", "finished": 1}, step("b", 4, 0.5)
    )
    curves = read_curves(events)
    assert curves.losses["step"].tolist() == [5, 14]
    assert curves.losses["loss"].tolist() == [1.0, 0.5]
    assert curves.figures.to_dict("records") == [
        {"step": 10, "stage": "a", "epoch": 1, "metric": "ndcg@10", "value": 0.1}
    ]


def test_what_was_done_again_counts_once(tmp_path: Path) -> None:
    again = [step("a", 5, 9.0), step("a", 9, 8.0), step("b", 3, 7.0), step("a", 7, 6.0), step("b", 2, 5.0)]
    losses = read_curves(write(tmp_path, *again)).losses
    assert losses["loss"].tolist() == [9.0, 6.0, 5.0]
    assert losses["step"].tolist() == [5, 7, 9]


def test_a_line_that_is_being_written_is_left(tmp_path: Path) -> None:
    events = write(tmp_path, step("a", 5), end=json.dumps(step("a", 6))[:-10])
    assert read_curves(events).losses["step"].tolist() == [5]


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "step", "stage": "a", }',
        b"\x00" * 40 + b"\xff\xfe",
        b'{"kind": "step", "stage": "a"}',
        b'{"kind": "step", "stage": 1, "epoch": 1, "step": 2, "loss": 1.0, "events_per_second": 1.0}',
        b'{"kind": "step", "stage": "a", "epoch": 1, "step": "x", "loss": [1], "events_per_second": 1.0}',
        b'{"kind": "validation", "step": 3}',
        b'{"kind": "validation", "stage": "a", "epoch": 1, "step": 3, "best": true, "ndcg@10": "high"}',
    ],
)
def test_a_spoilt_line_is_left(tmp_path: Path, line: bytes) -> None:
    events = write(tmp_path, step("a", 5), validation("a", 6, True, 0.1))
    events.write_bytes(line + b"\n" + events.read_bytes() + line + b"\n")
    curves = read_curves(events)
    assert curves.losses["step"].tolist() == [5]
    assert curves.figures["value"].tolist() == [0.1]
    assert best_figures(events) == {"ndcg@10": 0.1}


def test_nothing_yet(tmp_path: Path) -> None:
    curves = read_curves(tmp_path / "events.jsonl")
    assert curves.losses.empty
    assert curves.figures.empty
    assert [str(curves.losses[name].dtype) for name in ("step", "loss")] == ["int64", "float64"]
    assert str(curves.figures["value"].dtype) == "float64"
    assert best_figures(tmp_path / "events.jsonl") == {}


def test_the_best_validation_is_that_of_the_latest_stage(tmp_path: Path) -> None:
    records = [validation("a", 5, True, 0.3), validation("b", 5, True, 0.2), validation("b", 9, False, 0.1)]
    assert best_figures(write(tmp_path, *records)) == {"ndcg@10": 0.2}


@given(st.integers(0, 300), st.integers(1, 50))
def test_thinned_tables_are_short_and_keep_the_end(n_rows: int, n: int) -> None:
    found = thinned(pd.DataFrame({"step": range(n_rows)}), n)["step"].tolist()
    assert len(found) <= n
    assert len(found) >= min(n, n_rows) // 2
    assert found == sorted(found)
    assert found[-1:] == ([n_rows - 1] if n_rows else [])


def test_no_table_is_thinned_to_nothing() -> None:
    with pytest.raises(ValueError, match="n = 0: at least one row must stay"):
        thinned(pd.DataFrame({"step": [1]}), 0)
