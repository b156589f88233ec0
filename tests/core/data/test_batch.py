"""Windows, batches of equal work, padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from p5core.data.batch import NO_TARGET, Batch, Windows, bucket_by_length, cut_windows, gather_padded
from p5core.data.dataset import Events, Ragged
from p5core.data.following import following_batch, following_plan

lengths = st.lists(st.integers(0, 40), min_size=1, max_size=10)


def events(counts: list[int]) -> Events:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n = int(offsets[-1])
    return Events(offsets, np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int64))


def segments(windows: Windows) -> list[tuple[int, int]]:
    return list(zip(windows.starts.tolist(), windows.stops.tolist(), strict=True))


@given(lengths, st.integers(2, 15))
def test_with_overlap_1_each_event_but_the_first_is_a_target_once(counts: list[int], size: int) -> None:
    log = events(counts)
    windows = cut_windows(log, size, overlap=1, min_size=2)
    targets = sorted(place for start, stop in segments(windows) for place in range(start + 1, stop))
    firsts = {int(start) for start, count in zip(log.offsets[:-1], counts, strict=True) if count}
    assert targets == [place for place in range(len(log)) if place not in firsts]


@given(lengths, st.integers(1, 15))
def test_without_overlap_each_event_is_in_one_window(counts: list[int], size: int) -> None:
    log = events(counts)
    windows = cut_windows(log, size, overlap=0, min_size=1)
    assert sorted(place for start, stop in segments(windows) for place in range(start, stop)) == list(range(len(log)))


@given(lengths, st.integers(3, 15), st.integers(0, 2), st.integers(1, 3))
def test_windows_stay_within_their_user_and_size(counts: list[int], size: int, overlap: int, least: int) -> None:
    log = events(counts)
    windows = cut_windows(log, size, overlap, least)
    for user, (start, stop) in zip(windows.users.tolist(), segments(windows), strict=True):
        assert log.offsets[user] <= start < stop <= log.offsets[user + 1]
        assert least <= stop - start <= size
    newest = {user for user, count in enumerate(counts) if count >= least}
    ends = {(user, stop) for user, (_, stop) in zip(windows.users.tolist(), segments(windows), strict=True)}
    assert {(user, int(log.offsets[user + 1])) for user in newest} <= ends


@given(lengths.filter(any), st.integers(1, 60), st.integers(0, 9))
def test_batches_hold_every_window_once_within_the_budget(counts: list[int], budget: int, seed: int) -> None:
    windows = cut_windows(events(counts), 12, overlap=0, min_size=1)
    batches = bucket_by_length(windows, budget, np.random.default_rng(seed))
    assert sorted(one for batch in batches for one in segments(batch)) == sorted(segments(windows))
    for batch in batches:
        assert len(batch.users) == 1 or len(batch.users) * int(batch.lengths.max()) <= budget


def test_batches_are_full_and_of_similar_length() -> None:
    windows = cut_windows(events([1, 9] * 50), 9, overlap=0, min_size=1)
    batches = bucket_by_length(windows, 18, np.random.default_rng(0))
    assert sum(len(batch.users) == 2 and batch.lengths.min() == 9 for batch in batches) == 25
    assert sum(len(batch.users) == 18 for batch in batches) == 2


def test_batches_depend_on_their_generator_alone() -> None:
    windows = cut_windows(events(list(range(20))), 9, overlap=0, min_size=1)
    first, same, other = (bucket_by_length(windows, 30, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [segments(batch) for batch in first] == [segments(batch) for batch in same]
    assert [segments(batch) for batch in first] != [segments(batch) for batch in other]


@given(st.lists(st.lists(st.integers(0, 99), max_size=6), min_size=1, max_size=6), st.integers(-1, 100))
def test_rows_are_padded_on_the_right(rows: list[list[int]], fill: int) -> None:
    ragged = Ragged.of(rows)
    padded = gather_padded(ragged.values, ragged.offsets[:-1], ragged.lengths, fill)
    width = max([1, *map(len, rows)])
    assert padded.tolist() == [[*row, *[fill] * (width - len(row))] for row in rows]
    assert padded.dtype == np.int32


def test_a_batch_knows_its_real_positions() -> None:
    items = torch.zeros((2, 3), dtype=torch.int64)
    batch = Batch(torch.tensor([0, 1]), items, torch.tensor([3, 1]), items + NO_TARGET)
    assert batch.real.tolist() == [[True, True, True], [True, False, False]]


def test_a_batch_moves_as_a_whole() -> None:
    items = torch.zeros((1, 2), dtype=torch.int64)
    extra = {"clicked": items.float()}
    batch = Batch(items[:, 0], items, torch.tensor([2]), items, items.bool(), extra).to(torch.device("meta"))
    tensors = [one for one in (*vars(batch).values(), *batch.extra.values()) if isinstance(one, torch.Tensor)]
    assert len(tensors) == 6
    assert {one.device.type for one in tensors} == {"meta"}


def weighted(weights: list[float]) -> Events:
    """One user with events of these weights."""
    values = np.array(weights, dtype=np.float32)
    plain = events([len(weights)])
    return Events(plain.offsets, plain.items, plain.times, {"weight": values})


@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=30), st.integers(0, 99))
def test_targets_are_drawn_by_their_weights(weights: list[float], seed: int) -> None:
    torch.manual_seed(seed)
    log = weighted(weights)
    batch = following_batch(log, True, True, (), cut_windows(log, 99, 1, 2), np.random.default_rng(0))
    rows, columns = batch.target_places()
    assert len(rows) == len(weights) - 1
    assert batch.targets is not None
    drawn = np.bincount(batch.targets[rows, columns].numpy(), minlength=len(weights))
    shares = np.array([0.0, *weights[1:]])
    assert np.abs(drawn - shares / shares.sum() * len(rows)).max() <= 1 + 1e-6


def test_targets_without_weights_are_all_taken_once() -> None:
    log = events([5, 3])
    batch = following_batch(log, True, True, (), cut_windows(log, 99, 1, 2), np.random.default_rng(0))
    assert batch.targets is not None
    rows, columns = batch.target_places()
    assert sorted(batch.targets[rows, columns].tolist()) == [1, 2, 3, 4, 6, 7]


@pytest.mark.parametrize(("causal", "uses_history"), [(True, True), (False, True), (True, False)])
def test_each_target_has_the_weight_of_its_event(causal: bool, uses_history: bool) -> None:
    log = weighted([1.0, 2.0, 3.0, 4.0])
    plan = following_plan(log, uses_history, 9, 99, np.random.default_rng(0))
    batch = following_batch(log, causal, uses_history, (), plan[0], np.random.default_rng(1))
    assert batch.targets is not None
    assert batch.target_weights is not None
    chosen = batch.targets != NO_TARGET
    assert (batch.target_weights[chosen] == batch.targets[chosen] + 1).all()
