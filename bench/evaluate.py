"""Time of full ranking: 22,363 users × 12,101 items at width 64, ranks and lists.

    python bench/evaluate.py [--beauty PATH]

With the S3-Rec file Beauty.txt it also fits the co-occurrence scorer and evaluates it on the test items. Exits with 1
when evaluation takes more than 5 seconds or the scorer more than 10.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from p5core.config.base import PartSpec
from p5core.contracts.scorer import HistoryScorer
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Events, Ragged
from p5core.data.holdout import Holdout
from p5core.evaluation.item_statistics import item_statistics
from p5core.evaluation.metric_results import choose_metrics, measure
from p5core.evaluation.ranking import rank
from p5core.plugins.discovery import load_plugins

__all__: list[str] = []

N_USERS, N_ITEMS, WIDTH, LENGTH = 22_363, 12_101, 64, 8
LABELS = ["hr@10", "recall@10", "ndcg@10", "map@10", "mrr@10", "auc", "coverage@10", "novelty@10", "ild@10", "gini@10"]


class Vectors:
    """Random user and item vectors whose dot product is the score."""

    def __init__(self) -> None:
        self.users = torch.randn(N_USERS, WIDTH)
        self.items = torch.randn(N_ITEMS, WIDTH)

    def scores(self, users: NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V)"""
        return self.users[torch.from_numpy(users.astype(np.int64))] @ self.items.T

    def predict(self, field: str, users: NDArray[np.int32], histories: Ragged, targets: Ragged) -> None:
        """Nothing is predicted."""


def evaluated(name: str, scorer: HistoryScorer, holdout: Holdout, train: Events, n_items: int) -> float:
    """Rank and measure, print what it took, and return the seconds of ranking."""
    statistics = item_statistics(train, n_items)
    began = time.perf_counter()
    result = rank(
        scorer,
        holdout,
        statistics,
        {"ranks", "lists"},
        depth=10,
        exclude_seen=True,
        candidates=0,
        candidate_items=None,
        memory_mb=256,
        seed=0,
    )
    ranked = time.perf_counter()
    figures = measure(result, choose_metrics(load_plugins(), LABELS), 1000, 0)
    measured = time.perf_counter()
    print(f"{name}: ranks and lists {ranked - began:.2f} s, metrics and intervals {measured - ranked:.2f} s")
    print("  " + ", ".join(f"{label} {figure.value:.4f}" for label, figure in figures.items()))
    return ranked - began


def random_vectors() -> float:
    """Evaluate random vectors on random histories."""
    rng = np.random.default_rng(0)
    offsets = np.arange(N_USERS + 1, dtype=np.int64)
    items = rng.integers(N_ITEMS, size=N_USERS * LENGTH).astype(np.int32)
    train = Events(offsets * LENGTH, items, np.arange(len(items)))
    targets = Ragged(rng.integers(N_ITEMS, size=N_USERS).astype(np.int32), offsets)
    holdout = Holdout(np.arange(N_USERS, dtype=np.int32), train.histories, targets)
    return evaluated("random vectors", Vectors(), holdout, train, N_ITEMS)


def co_occurrence(path: Path) -> float:
    """Fit and evaluate the co-occurrence scorer; returns the seconds of both."""
    lists = [[int(code) - 1 for code in line.split()[1:]] for line in path.read_text().splitlines()]
    trained = Ragged.of([items[:-2] for items in lists])
    train = Events(trained.offsets, trained.values, np.arange(len(trained.values)))
    n_items = 1 + max(map(max, lists))
    histories, targets = Ragged.of([items[:-1] for items in lists]), Ragged.of([items[-1:] for items in lists])
    began = time.perf_counter()
    scorer = load_plugins().choose("scorer", PartSpec(name="cooccurrence")).build()
    scorer.fit(train, Catalogue(pd.DataFrame({"item": range(n_items), "domain": "default"})))
    fitted = time.perf_counter() - began
    print(f"co-occurrence scorer: fitted in {fitted:.2f} s")
    holdout = Holdout(np.arange(len(lists), dtype=np.int32), histories, targets)
    return fitted + evaluated("co-occurrence scorer", scorer, holdout, train, n_items)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beauty", type=Path, help="the S3-Rec file Beauty.txt")
    beauty = parser.parse_args().beauty
    seconds = random_vectors()
    scorer_seconds = co_occurrence(beauty) if beauty else 0.0
    return int(seconds > 5 or scorer_seconds > 10)


if __name__ == "__main__":
    raise SystemExit(main())
