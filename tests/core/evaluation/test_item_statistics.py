"""Statistics of items from training events."""

from __future__ import annotations

import numpy as np
import pytest
from support import events_of

from p5core.evaluation.item_statistics import item_statistics


def test_facts_count_different_users() -> None:
    found = item_statistics(events_of([[0, 0, 1], [], [1, 2, 0]]), 5)
    assert found.users_per_item.tolist() == [2, 2, 1, 0, 0]
    assert found.n_users == 2
    vectors = found.vectors.toarray()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0, 0])
    assert vectors[0] @ vectors[1] == pytest.approx(1.0)
    assert vectors[0] @ vectors[2] == pytest.approx(1 / np.sqrt(2))
