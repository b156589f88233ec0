"""The co-occurrence scorer against a dense brute force, and on real data where there is some."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from support import events_of

from p5core.contracts.metric import ItemStatistics
from p5core.data.dataset import Events, Ragged
from p5core.data.holdout import Holdout
from p5core.evaluation.ranking import rank
from p5plugins.scorers.cooccurrence import CoOccurrence, CoOccurrenceConfig
from p5plugins.similarity import counting

BEAUTY = Path(os.environ.get("P5_DATA", "")) / "s3rec" / "Beauty.txt"
N_ITEMS = 7
LISTS = st.lists(st.lists(st.integers(0, N_ITEMS - 2), max_size=9), min_size=1, max_size=6)
CONFIGS = st.builds(
    CoOccurrenceConfig,
    window=st.integers(1, 5),
    distance_decay=st.sampled_from([0.0, 0.5]),
    backward=st.sampled_from([0.0, 0.3, 1.0]),
    damping=st.sampled_from([0.0, 0.5]),
    source_damping=st.sampled_from([0.0, 0.3]),
    recency=st.sampled_from([0.5, 1.0]),
    n_recent=st.integers(1, 5),
)


def fitted(
    events: Events, n_items: int, config: CoOccurrenceConfig | None = None, content: csr_array | None = None
) -> CoOccurrence:
    scorer = CoOccurrence(config or CoOccurrenceConfig())
    scorer._count(events, n_items, content)
    return scorer


def brute_force(lists: list[list[int]], config: CoOccurrenceConfig) -> npt.NDArray[np.float64]:
    """(V, V) similarities, pair by pair."""
    found = np.zeros((N_ITEMS, N_ITEMS))
    for items in lists:
        for place, first in enumerate(items):
            for distance, second in enumerate(items[place + 1 : place + 1 + config.window], start=1):
                found[first, second] += distance**-config.distance_decay
                found[second, first] += distance**-config.distance_decay * config.backward
    counts = np.maximum(1, np.bincount([item for one in lists for item in one], minlength=N_ITEMS))
    np.fill_diagonal(found, 0)
    return found / counts[:, None] ** config.source_damping / counts**config.damping


def users(n: int) -> npt.NDArray[np.int32]:
    return np.arange(n, dtype=np.int32)


@given(LISTS, CONFIGS, st.integers(1, 40))
def test_similarities_and_scores_are_those_of_brute_force(
    lists: list[list[int]], config: CoOccurrenceConfig, pairs_at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "PAIRS_AT_ONCE", pairs_at_once)
        memory = fitted(events_of(lists), N_ITEMS, config)
    dense = brute_force(lists, config)
    assert memory.similarity.toarray() == pytest.approx(dense, rel=1e-5)
    scores = memory.scores(users(len(lists)), Ragged.of(lists)).numpy()
    for row, items in enumerate(lists):
        recent = items[::-1][: config.n_recent]
        expected = sum((config.recency**age * dense[item] for age, item in enumerate(recent)), np.zeros(N_ITEMS))
        assert scores[row] == pytest.approx(expected + 1e-9 * memory.popularity, rel=1e-5)


@given(LISTS, CONFIGS, st.sampled_from([0.0, 7.0]), st.integers(1, 40))
def test_content_counts_as_pairs_that_were_seen(
    lists: list[list[int]], config: CoOccurrenceConfig, pairs: float, pairs_at_once: int
) -> None:
    content = csr_array(np.eye(N_ITEMS, k=1, dtype=np.float32))  # each item is like the next one
    config = config.model_copy(update={"content_pairs": pairs})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "PAIRS_AT_ONCE", pairs_at_once)
        memory = fitted(events_of(lists), N_ITEMS, config, content)
    counts = np.maximum(1, np.bincount([item for one in lists for item in one], minlength=N_ITEMS))
    added = pairs * content.toarray() / counts[:, None] ** config.source_damping / counts**config.damping
    assert memory.similarity.toarray() == pytest.approx(brute_force(lists, config) + added, rel=1e-5)


def test_an_item_without_events_is_reached_by_its_content() -> None:
    content = csr_array(([1.0], ([0], [2])), shape=(3, 3))
    memory = fitted(events_of([[0, 1], [1, 0]]), 3, CoOccurrenceConfig(), content)
    scores = memory.scores(users(1), Ragged.of([[0]])).numpy()[0]
    assert scores[2] > 1e-3
    assert fitted(events_of([[0, 1], [1, 0]]), 3).scores(users(1), Ragged.of([[0]])).numpy()[0][2] == 0


@given(LISTS, CONFIGS, st.integers(0, N_ITEMS - 1))
def test_contributions_add_up_to_the_score(lists: list[list[int]], config: CoOccurrenceConfig, item: int) -> None:
    memory = fitted(events_of(lists), N_ITEMS, config)
    scores = memory.scores(users(len(lists)), Ragged.of(lists)).numpy()
    for row, items in enumerate(lists):
        parts = memory.contributions(np.array(items, dtype=np.int32), item)
        assert parts.shape == (len(items),)
        assert parts.sum() == pytest.approx(float(scores[row, item]), rel=1e-5, abs=1e-8)


def test_only_the_strongest_neighbours_are_kept() -> None:
    lists = [[0, 1, 2, 3], [0, 2], [0, 3], [0, 3], [4, 5]]
    whole = fitted(events_of(lists), N_ITEMS).similarity.toarray()
    kept = fitted(events_of(lists), N_ITEMS, CoOccurrenceConfig(n_neighbours=2)).similarity.toarray()
    for row in range(N_ITEMS):
        best = np.sort(whole[row])[::-1][:2]
        assert np.sort(kept[row])[::-1][:2] == pytest.approx(best)
        assert np.count_nonzero(kept[row]) <= 2


def test_what_no_history_item_reaches_follows_by_popularity() -> None:
    memory = fitted(events_of([[0, 1], [2, 3, 2, 3, 2], [4], [4]]), N_ITEMS)
    (scores,) = memory.scores(users(1), Ragged.of([[0]])).tolist()
    assert sorted(range(N_ITEMS), key=lambda item: -scores[item])[:4] == [1, 2, 3, 4]


def test_an_empty_history_gets_the_popular_items() -> None:
    memory = fitted(events_of([[0, 1], [2, 3, 2, 3, 2], [4], [4]]), N_ITEMS)
    (scores,) = memory.scores(users(1), Ragged.of([[]])).tolist()
    assert sorted(range(N_ITEMS), key=lambda item: -scores[item])[:3] == [2, 3, 4]
    assert memory.contributions(np.zeros(0, dtype=np.int32), 1).tolist() == []


def test_large_catalogues_stay_sparse() -> None:
    rng = np.random.default_rng(0)
    n_items, offsets = 300_000, np.arange(0, 60_001, 6)
    data = Events(offsets, rng.integers(n_items, size=60_000).astype(np.int32), np.arange(60_000))
    memory = fitted(data, n_items)
    assert memory.similarity.nnz <= 60_000 * 10
    assert memory.scores(users(2), Ragged.of([[5], []])).shape == (2, n_items)


@pytest.mark.skipif(not BEAUTY.is_file(), reason="needs the environment variable P5_DATA with s3rec/Beauty.txt")
def test_beauty_is_ranked_as_well_as_promised() -> None:
    lists = [[int(code) - 1 for code in line.split()[1:]] for line in BEAUTY.read_text().splitlines()]
    n_items = 1 + max(map(max, lists))
    memory = fitted(events_of([items[:-2] for items in lists]), n_items)
    held = Holdout(users(len(lists)), Ragged.of([one[:-1] for one in lists]), Ragged.of([one[-1:] for one in lists]))
    nothing = ItemStatistics(np.zeros(n_items, dtype=np.int64), 0, csr_array((n_items, 1)))
    result = rank(
        memory,
        held,
        nothing,
        {"ranks"},
        exclude_seen=True,
        candidates=0,
        candidate_items=None,
        memory_mb=256,
        seed=0,
    )
    assert result.ranks is not None
    places = result.ranks.ranks
    hits = places <= 10
    assert hits.mean() >= 0.085
    assert np.where(hits, 1 / np.log2(1 + places), 0.0).mean() >= 0.053


def test_it_can_be_stored_and_exported() -> None:
    scorer = fitted(events_of([[0, 1, 2, 3], [0, 2], [3, 1]]), N_ITEMS, CoOccurrenceConfig(n_neighbours=2, n_recent=3))
    again = CoOccurrence(scorer.config)
    again.restore(scorer.state())
    histories = Ragged.of([[0, 3], [], [5, 1, 2]])
    assert again.scores(users(3), histories).tolist() == scorer.scores(users(3), histories).tolist()
    model = scorer.export()
    assert model.neighbours.shape == model.weights.shape == (N_ITEMS, 2)
    dense = np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        np.add.at(dense[item], model.neighbours[item], model.weights[item])
    assert dense == pytest.approx(scorer.similarity.toarray())
    assert model.age_weights == pytest.approx([1.0, 0.7, 0.49])
