"""Who is trained on, and who is judged: properties that hold for every log."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from support import rated, split

from p5core.contracts.part import NoOptions
from p5core.contracts.split import Split as SplitPart
from p5core.data.catalogue import Catalogue
from p5core.data.dataset import Dataset, Events, Ragged
from p5core.data.holdout import Holdout, Role, Split
from p5core.data.vocabulary import Vocabulary
from p5core.errors import ConfigError, DataError
from p5plugins.splits.by_user import ByUser as ByUserPart
from p5plugins.splits.by_user import ByUserConfig
from p5plugins.splits.item_cold import ItemCold as ItemColdPart
from p5plugins.splits.item_cold import ItemColdConfig
from p5plugins.splits.leave_one_out import LeaveOneOut as LeaveOneOutPart
from p5plugins.splits.random import RandomRatio as RandomRatioPart
from p5plugins.splits.random import RandomRatioConfig
from p5plugins.splits.time import TimeWindows as TimeWindowsPart
from p5plugins.splits.time import TimeWindowsConfig

DAY = 86_400_000_000


def leave_one_out() -> SplitPart:
    return LeaveOneOutPart(NoOptions())


def random_ratio(**options: float) -> SplitPart:
    return RandomRatioPart(RandomRatioConfig.model_validate(options))


def time_windows(**options: float | datetime) -> SplitPart:
    return TimeWindowsPart(TimeWindowsConfig.model_validate(options))


def item_cold(share: float) -> SplitPart:
    return ItemColdPart(ItemColdConfig(share=share))


def by_user(**options: float) -> SplitPart:
    return ByUserPart(ByUserConfig.model_validate(options))


def dataset(counts: list[int], times: list[int] | None = None, has_clock: bool = True) -> Dataset:
    """A log in which every event has an item of its own, so that an item tells which event it was."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n = int(offsets[-1])
    codes = np.arange(n, dtype=np.int32)
    clock = codes.astype(np.int64) * DAY if times is None else np.array(times, dtype=np.int64)
    frame = pd.DataFrame({"item": codes.astype(np.int64), "domain": "default"})
    users = pd.DataFrame({"user": np.arange(len(counts))})
    events = Events(offsets, codes, clock, rated(codes))
    return Dataset(events, Vocabulary.of(users["user"].to_numpy()), Catalogue(frame), users, has_clock)


def targets(holdout: Holdout) -> list[int]:
    return holdout.targets.values.tolist()


def histories(holdout: Holdout) -> dict[int, list[int]]:
    return {int(user): holdout.histories[row].tolist() for row, user in enumerate(holdout.users)}


def of_user(data: Dataset, user: int) -> list[int]:
    return data.events.histories[user].tolist()


def parts(found: Split) -> list[list[int]]:
    return [found.train.items.tolist(), targets(found.validation), targets(found.test)]


many = st.lists(st.integers(2, 12), min_size=25, max_size=50)
seeds = st.integers(0, 99)
configs = st.sampled_from(
    [leave_one_out(), random_ratio(validation=0.3, test=0.3), time_windows(), by_user(validation=0.4, test=0.4)]
)


def drawn_split(data: Dataset, config: SplitPart, seed: int) -> Split:
    """Pass over the rare draw that leaves a part without events, which is an error of its own."""
    try:
        return split(data, config, seed)
    except DataError:
        reject()


@given(many, configs, seeds)
def test_every_event_has_one_role(counts: list[int], config: SplitPart, seed: int) -> None:
    data = dataset([*counts, 3])
    found = drawn_split(data, config, seed)
    known = [item for holdout in (found.validation, found.test) for one in histories(holdout).values() for item in one]
    used = Counter(item for part in parts(found) for item in part)
    assert max(used.values()) == 1
    unused = set(range(len(data.events))) - set(used)
    assert not unused or config.holds_out_users
    assert unused <= set(known)


@given(many, configs, seeds)
def test_a_target_is_never_in_its_own_history(counts: list[int], config: SplitPart, seed: int) -> None:
    data = dataset([*counts, 3])
    found = drawn_split(data, config, seed)
    for holdout in (found.validation, found.test):
        assert (holdout.targets.lengths > 0).all()
        for row, user in enumerate(holdout.users):
            wanted, known = set(holdout.targets[row].tolist()), holdout.histories[row].tolist()
            assert wanted.isdisjoint(known)
            assert wanted | set(known) <= set(of_user(data, user))
            assert known == sorted(known)
        assert "rating" in holdout.fields
        assert holdout.fields["rating"].tolist() == holdout.targets.values.tolist()


@given(many, configs, seeds)
def test_a_seed_decides(counts: list[int], config: SplitPart, seed: int) -> None:
    data = dataset([*counts, 3])
    first, again = (drawn_split(data, config, seed) for _ in range(2))
    assert parts(first) == parts(again)


@pytest.mark.parametrize("config", [random_ratio(), by_user()])
def test_another_seed_splits_otherwise(config: SplitPart) -> None:
    data = dataset([10] * 50)
    assert parts(split(data, config, 0)) != parts(split(data, config, 1))


@given(st.lists(st.integers(0, 8), max_size=20))
def test_leave_one_out_by_brute_force(counts: list[int]) -> None:
    data = dataset([*counts, 4])
    found = split(data, leave_one_out(), 0)
    train, validation, test, before, until = [], [], [], {}, {}
    for user in range(data.events.n_users):
        items = of_user(data, user)
        if len(items) < 3:
            train += items
            continue
        train += items[:-2]
        validation.append(items[-2])
        test.append(items[-1])
        before[user], until[user] = items[:-2], items[:-1]
    assert parts(found) == [train, validation, test]
    assert histories(found.validation) == before
    assert histories(found.test) == until


@given(st.lists(st.integers(1, 9), min_size=10, max_size=20), st.data())
def test_time_windows_part_the_clock(counts: list[int], data: st.DataObject) -> None:
    n = sum(counts)
    times = data.draw(st.permutations(range(n)))
    starts = np.concatenate([[0], np.cumsum(counts)])
    by_user = [time for a, b in pairwise(starts) for time in sorted(times[a:b])]
    log = dataset(counts, by_user)
    found = split(log, time_windows(validation=0.5, test=0.8), 0)
    train, validation, test = (log.events.times[part] for part in parts(found))
    assert train.max() < validation.min() <= validation.max() < test.min()
    assert abs(len(test) - 0.2 * n) <= 1
    assert abs(len(validation) - 0.3 * n) <= 1
    assert found.warnings == ()
    for user, known in histories(found.test).items():
        assert known == [item for item in of_user(log, user) if log.events.times[item] < test.min()]


def test_time_windows_from_dates() -> None:
    data = dataset([6, 6])
    found = split(data, time_windows(validation=datetime(1970, 1, 9), test=datetime(1970, 1, 11)), 0)
    assert parts(found) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9], [10, 11]]
    zone = timezone(timedelta(hours=2))
    moments = time_windows(validation=datetime(1970, 1, 9, 2, tzinfo=zone), test=datetime(1970, 1, 11, tzinfo=UTC))
    assert parts(split(data, moments, 0)) == parts(found)


def test_a_share_of_the_events_keeps_every_microsecond() -> None:
    late = 2**60  # neighbouring times are equal as floats
    found = split(dataset([10], [late + step for step in range(10)]), time_windows(validation=0.5, test=0.8), 0)
    assert [len(part) for part in parts(found)] == [5, 3, 2]


@given(many, seeds, st.floats(0.05, 0.95))
def test_users_held_out_are_never_trained_on(counts: list[int], seed: int, share: float) -> None:
    data = dataset(counts)
    found = drawn_split(data, by_user(validation=0.3, test=0.3, held_out=share), seed)
    trained = set(found.train.users.tolist())
    validated, tested = (set(part.users.tolist()) for part in (found.validation, found.test))
    assert trained.isdisjoint(validated | tested)
    assert validated.isdisjoint(tested)
    assert trained | validated | tested == set(range(len(counts)))
    for holdout in (found.validation, found.test):
        for row, user in enumerate(holdout.users):
            items = of_user(data, user)
            n_wanted = max(1, int(np.floor(len(items) * share)))
            assert holdout.targets[row].tolist() == items[-n_wanted:]
            assert holdout.histories[row].tolist() == items[:-n_wanted] != []


def test_a_user_of_one_event_only_trains() -> None:
    found = split(dataset([1] * 50 + [2] * 50), by_user(validation=0.4, test=0.4), 0)
    assert set(range(50)) <= set(found.train.users.tolist())


def test_random_shares_are_met_on_average() -> None:
    found = split(dataset([10] * 1000), random_ratio(validation=0.2, test=0.3), 0)
    shares = [len(part) / 10_000 for part in parts(found)]
    assert shares == pytest.approx([0.5, 0.2, 0.3], abs=0.02)


@given(st.lists(st.integers(1, 9), min_size=25, max_size=40), st.integers(2, 7), seeds)
def test_folds_partition_the_events(counts: list[int], n_folds: int, seed: int) -> None:
    data = dataset(counts)
    tested = [targets(split(data, random_ratio(), seed, (fold, n_folds)).test) for fold in range(n_folds)]
    assert sorted(item for one in tested for item in one) == list(range(len(data.events)))
    sizes = [len(one) for one in tested]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(2, 9), min_size=35, max_size=45), st.integers(2, 7), seeds)
def test_folds_by_user_partition_the_users(counts: list[int], n_folds: int, seed: int) -> None:
    found = [split(dataset(counts), by_user(), seed, (fold, n_folds)) for fold in range(n_folds)]
    tested = [one.test.users.tolist() for one in found]
    assert sorted(user for one in tested for user in one) == list(range(len(counts)))
    for one in found:
        assert set(one.train.users.tolist()).isdisjoint(one.test.users.tolist())


def test_a_fold_validates_by_as_much_as_is_asked_for() -> None:
    data = dataset([40] * 50)
    part = random_ratio(validation=0.02)
    roles = part.fold_roles(data, np.random.default_rng(0), 1, 5)
    assert [(roles == role).sum() for role in (Role.TRAIN, Role.VALIDATION, Role.TEST)] == [1_568, 32, 400]


@pytest.mark.parametrize("fold", [(5, 5), (-1, 5), (0, 1)])
def test_a_fold_that_does_not_exist_is_an_error(fold: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=rf"There is no fold {fold[0]} of {fold[1]}; give two folds or more"):
        split(dataset([9] * 9), random_ratio(), 0, fold)


def test_training_on_the_future_is_told() -> None:
    found = split(dataset([4, 4]), leave_one_out(), 0)
    assert len(found.warnings) == 1
    assert "50% of the training events are later than the first test event" in found.warnings[0]
    assert "use split.name = 'time'" in found.warnings[0]


def test_a_small_leak_is_not_called_none() -> None:
    n_early, late = 500, [0, 1, 2, 5, 6, 7]
    times = [time for _ in range(n_early) for time in (0, 1, 9, 10)]
    found = split(dataset([4] * n_early + [6], [*times, *[time + 9 for time in late]]), leave_one_out(), 0)
    assert found.warnings[0].startswith("Less than 1% of the training events are later than the first test event")


def test_without_a_clock_nothing_can_be_said_about_the_future() -> None:
    assert split(dataset([4, 4], has_clock=False), leave_one_out(), 0).warnings == ()


def test_no_warning_when_all_training_lies_before_the_test() -> None:
    times = [0, 1, 2, 100, 0, 1, 3, 101]
    assert split(dataset([4, 4], times), leave_one_out(), 0).warnings == ()


def test_the_share_of_cold_targets_is_counted() -> None:
    data = dataset([4, 4])
    items = np.array([0, 1, 2, 5, 0, 1, 2, 1], dtype=np.int32)
    events = Events(data.events.offsets, items, data.events.times)
    found = split(Dataset(events, data.users, data.catalogue, data.user_frame, True), leave_one_out(), 0)
    assert found.cold_share == 0.5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (time_windows(validation=0.9, test=0.8), r"split\.validation \(0\.9 is 1970-03-14 00:00:00\) must lie before "),
        (
            time_windows(validation=0.0),
            r"split: 0\.0 is no share of the events; give a number between 0 and 1, or a da",
        ),
        (time_windows(test=1.5), r"split: 1\.5 is no share of the events"),
        (by_user(validation=0.5, test=0.5), r"split\.validation and split\.test together must stay below 1\."),
        (random_ratio(validation=0.5, test=0.6), r"split\.validation and split\.test together must stay below 1\."),
    ],
)
def test_shares_that_make_no_sense_are_errors(config: SplitPart, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split(dataset([9] * 9), config, 0)


def test_shares_that_fall_on_one_moment_are_an_error() -> None:
    message = r"split\.validation \(0\.8 is 1970-01-02 00:00:00\) must lie .* because many events share it"
    with pytest.raises(ConfigError, match=message):
        split(dataset([9] * 9, [DAY] * 81), time_windows(), 0)


def test_time_windows_need_a_clock() -> None:
    with pytest.raises(ConfigError, match=r"'time' needs timestamps, and this data has none\. Use 'leave_one_out'\."):
        split(dataset([9] * 9, has_clock=False), time_windows(), 0)


@pytest.mark.parametrize(
    ("counts", "config", "part"),
    [
        ([2, 2], leave_one_out(), "validation"),
        ([5], time_windows(validation=datetime(1960, 1, 1), test=datetime(1970, 1, 3)), "training"),
        ([5], time_windows(validation=datetime(1970, 1, 3), test=datetime(2000, 1, 1)), "test"),
        ([1] * 9, by_user(), "validation"),
    ],
)
def test_an_empty_part_is_an_error(counts: list[int], config: SplitPart, part: str) -> None:
    message = rf"The split leaves no {part} events among {sum(counts)} events of {len(counts)} users"
    with pytest.raises(DataError, match=message):
        split(dataset(counts), config, 0)


@given(st.integers(1, 12), seeds)
def test_a_sample_keeps_users_with_what_is_theirs(n: int, seed: int) -> None:
    wanted = [[user * 10 + place for place in range(1 + user % 3)] for user in range(8)]
    ragged = Ragged.of(wanted)
    whole = Holdout(np.arange(8, dtype=np.int32), ragged, ragged, rated(ragged.values))
    sample = whole.sample(n, np.random.default_rng(seed))
    assert len(sample) == min(n, 8)
    assert sample.users.tolist() == sorted(set(sample.users.tolist()))
    for row, user in enumerate(sample.users):
        assert sample.targets[row].tolist() == sample.histories[row].tolist() == wanted[user]
    assert "rating" in sample.fields
    assert sample.fields["rating"].tolist() == sample.targets.values.tolist()


@given(st.lists(st.integers(3, 9), min_size=3, max_size=12), st.sampled_from([0.1, 0.3, 0.6]), st.integers(0, 5))
def test_items_that_are_cold_are_never_trained_on_and_stay_in_histories(
    counts: list[int], share: float, seed: int
) -> None:
    log = dataset(counts)
    items = np.arange(len(log.events), dtype=np.int32) % 7
    log = Dataset(
        Events(log.events.offsets, items, log.events.times),
        log.users,
        Catalogue(log.catalogue.frame.iloc[:7]),
        log.user_frame,
        has_clock=True,
    )
    plain = leave_one_out().roles(log, np.random.default_rng(seed))
    roles = item_cold(share).roles(log, np.random.default_rng(seed))
    changed = roles != plain
    cold = np.unique(items[changed])
    assert (plain[changed] == Role.TRAIN).all()
    assert (roles[changed] == Role.HISTORY).all()
    assert not np.isin(items[roles == Role.TRAIN], cold).any()
    assert len(cold) <= max(1, round(share * 7))
    assert ((roles == Role.TEST) == (plain == Role.TEST)).all()
