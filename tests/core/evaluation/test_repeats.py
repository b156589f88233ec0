"""A log in which the held-out event repeats an earlier one, measured while seen items are left out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import p5core
from p5core.config.document import parse_experiment


@pytest.mark.parametrize("candidates", [0, 5])
def test_no_cut_off_finds_an_item_that_no_list_can_hold(tmp_path: Path, candidates: int) -> None:
    rows = [(user, (user + step) % 8) for user in range(40) for step in (0, 1, 2, 3, 4, 0)]
    experiment = parse_experiment(
        {
            "data": {"name": "dataframe", "interactions": pd.DataFrame(rows, columns=["user", "item"])},
            "prepare": {"keep": "all"},
            "model": {"width": 4, "backbone": {"name": "mlp"}, "encoders": [{"name": "id"}]},
            "stages": [{"tasks": [{"name": "next_item"}], "epochs": 1}],
            "evaluate": {"metrics": ["hr@10", "recall@8", "ndcg@10", "mrr@10"], "candidates": candidates},
        }
    )
    test = p5core.run(experiment, tmp_path, "repeats").metrics().test
    assert {label: value for scorer in test.values() for label, value in scorer.items()} == dict.fromkeys(
        ["hr@10", "recall@8", "ndcg@10", "mrr@10"], 0.0
    )
