"""Changes of histories keep what they say, and tasks train on changed histories."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import numpy as np
import pytest
from support import events_of

from p5core.contracts.backbone import Backbone
from p5core.contracts.task import TrainingData
from p5core.data.catalogue import Users
from p5core.data.dataset import Events
from p5core.testing.toys import PastMean
from p5core.testing.world import toy_world
from p5plugins.backbones.bert import BERT
from p5plugins.backbones.mf import MF
from p5plugins.losses.cross_entropy import CrossEntropy
from p5plugins.tasks.augmentations import Augmentation, augmented, neighbours
from p5plugins.tasks.masked_item import MaskedItem
from p5plugins.tasks.next_item import NextItem


def one_of(length: int) -> Events:
    """A user with items from 100 on, and another one who had each of them before the item 50 further."""
    other = [item for nth in range(length) for item in (100 + nth, 150 + nth)]
    return events_of([list(range(100, 100 + length)), other])


@pytest.mark.parametrize("length", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("name", get_args(Augmentation))
def test_a_change_keeps_what_it_says(name: Augmentation, length: int) -> None:
    rng, events = np.random.default_rng(0), one_of(length)
    places = np.arange(length)
    views = [events.items[augmented(events, places, name, 0.3, rng)] for _ in range(50)]
    n = 0 if length == 1 else max(1, round(0.3 * length))
    sizes = {"crop": length - n, "drop": length - n, "insert": length + n}
    for view in views:
        own = view[(view >= 100) & (view < 100 + length)]
        assert len(view) == sizes.get(name, length)
        if name in ("crop", "drop", "reorder"):
            assert len(set(own.tolist())) == len(view)
        if name == "crop":
            assert (np.diff(view) == 1).all()
        if name == "drop":
            assert (np.diff(view) > 0).all()
        if name == "insert":
            assert set(events.items[places].tolist()) <= set(view.tolist())
        if name == "reorder":
            moved = np.flatnonzero(view != events.items[places])
            assert len(moved) == 0 or moved[-1] - moved[0] <= n
        if name == "substitute":
            assert (view != events.items[places]).sum() <= n
    assert (places == np.arange(length)).all()
    assert length < 3 or len({tuple(view.tolist()) for view in views}) > 1


def test_neighbours_are_drawn_as_often_as_they_stand_beside_an_item() -> None:
    events = events_of([[1, 2], [1, 2], [1, 3], [4, 1], [7]])
    drawn = neighbours(events, np.zeros(8_000, dtype=np.int64), np.random.default_rng(0))
    shares = {int(item): count / 8_000 for item, count in Counter(events.items[drawn].tolist()).items()}
    assert shares == pytest.approx({2: 0.5, 3: 0.25, 4: 0.25}, abs=0.03)
    assert events.items[neighbours(events, np.array([8]), np.random.default_rng(0))].tolist() == [7]


def data(backbone: type[Backbone]) -> TrainingData:
    world = toy_world()
    return TrainingData(world.events, backbone, 9, 200, world.catalogue, Users(world.users.frame))


def histories(part: type[Any], backbone: type[Backbone], **options: Any) -> list[list[int]]:
    """All histories of an epoch with their targets, by user."""
    task = part(part.Config(**options), CrossEntropy(CrossEntropy.Config()))
    training, rng = data(backbone), np.random.default_rng(0)
    batches = [task.batch(training, rows, rng) for rows in task.plan(training, rng)]
    shown = [
        (int(user), *items[:length].tolist(), "|", *targets[:length].tolist())
        for batch in batches
        for user, items, length, targets in zip(batch.users, batch.items, batch.lengths, batch.targets, strict=True)
    ]
    return sorted(shown)


@pytest.mark.parametrize("backbone", [PastMean, BERT, MF])
@pytest.mark.parametrize("name", get_args(Augmentation))
def test_an_epoch_of_changed_histories_is_another_one(name: Augmentation, backbone: type[Backbone]) -> None:
    plain = histories(NextItem, backbone)
    assert plain == histories(NextItem, backbone)
    assert histories(NextItem, backbone, augmentations=[name], augmented=1.0) != plain


def test_the_share_of_changed_histories_is_kept() -> None:
    plain = {tuple(history) for history in histories(NextItem, PastMean)}
    few, all_of_them = (
        len({tuple(one) for one in histories(NextItem, PastMean, augmentations=["reorder"], augmented=share)} & plain)
        for share in (0.1, 1.0)
    )
    assert all_of_them < 0.5 * len(plain) < few


def test_following_targets_are_those_of_the_changed_history() -> None:
    for history in histories(NextItem, PastMean, augmentations=["drop", "substitute"], augmented=1.0):
        middle = history.index("|")
        items, targets = history[1:middle], history[middle + 1 :]
        assert items[1:] == targets[:-1]


def test_masked_items_are_of_the_changed_histories() -> None:
    plain = histories(MaskedItem, BERT)
    assert histories(MaskedItem, BERT, augmentations=["insert"], augmented=1.0) != plain
