"""Ids that languages treat differently mean the same everywhere, or are not taken."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import p5core
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.data.vocabulary import Vocabulary
from p5core.errors import ExportError
from p5core.plugins.registry import Registry
from p5export.export import export_run
from p5export.graph.serving import _refuse_nul


def experiment(frame: pd.DataFrame) -> Experiment:
    return parse_experiment(
        {
            "data": {"name": "dataframe", "interactions": frame},
            "model": {"width": 4},
            "stages": [{"epochs": 1}],
            "evaluate": {"resamples": 0},
        }
    )


def test_a_text_with_a_nul_is_no_id(registry: Registry, tmp_path: Path) -> None:
    rows = [(f"u{user}", f"i{(user + step) % 9}") for user in range(20) for step in range(5)]
    rows += [("u1", "i1\0one"), ("u2\0", "i3")]
    run = p5core.run(experiment(pd.DataFrame(rows, columns=["user", "item"])), tmp_path, "nul", registry)
    report = (run.path / "log.txt").read_text()
    assert "2 rows: no user or item id" in report or "no user or item id" in report
    made = export_run(run, tmp_path / "export", registry, say=lambda text: None)
    assert made.manifest["n_items"] == 9


def test_a_run_that_knows_such_ids_is_not_exported() -> None:
    with pytest.raises(ExportError, match=r"The item id 'i1\\x00one' holds a NUL, at which other languages cut"):
        _refuse_nul(Vocabulary.of(["i1", "i1\0one"]), "item")
