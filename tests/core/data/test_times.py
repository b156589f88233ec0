"""Reading timestamps: units, texts, dates, and what is none of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p5core.data.dataset import Dataset
from p5core.data.prepare import PrepareConfig, prepare
from p5core.data.raw import RawData, Scan, TimeUnit
from p5core.data.report import PrepareReport
from p5core.errors import DataError

NOON = 1_700_000_000
MICRO = 1_000_000


def read(times: Any, unit: TimeUnit | None = None, header_rows: int = 0) -> tuple[Dataset, PrepareReport]:
    """Prepare one event a time, each of a user and an item of its own."""
    n = len(times)
    frame = pd.DataFrame({"user": range(n), "item": range(n), "timestamp": times})
    raw = RawData(frame, source="log.csv", time_unit=unit, header_rows=header_rows)
    return prepare(raw, PrepareConfig(min_user_events=1))


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y%m%d %H:%M:%S"])
def test_texts_of_many_forms_are_read_day_before_month(form: str) -> None:
    moments = [datetime(2024, 2, 1, 10, 30, 5, tzinfo=UTC), datetime(2024, 12, 31, 0, 0, 0, tzinfo=UTC)]
    dataset, _ = read([one.strftime(form) for one in moments])
    assert dataset.events.times.tolist() == [int(one.timestamp()) * MICRO for one in moments]


@pytest.mark.parametrize(
    "texts", [["2024-02-01", "2024-02-02"], ["01/02/2024", "02/02/2024"], ["02 01, 2024", "02 02, 2024"]]
)
def test_days_without_an_hour_begin_at_midnight(texts: list[str]) -> None:
    dataset, _ = read(texts)
    midnight = int(datetime(2024, 2, 1, tzinfo=UTC).timestamp())
    assert dataset.events.times.tolist() == [midnight * MICRO, (midnight + 86_400) * MICRO]


def test_dates_are_read() -> None:
    dataset, _ = read([date(1970, 1, 2), date(1970, 1, 3)])
    assert dataset.events.times.tolist() == [86_400 * MICRO, 2 * 86_400 * MICRO]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_zones_and_resolutions_of_pandas_name_the_same_moment(zone: str, unit: Any) -> None:
    moments = pd.to_datetime([NOON, NOON + 60], unit="s", utc=True).tz_convert(zone).as_unit(unit)
    assert read(moments)[0].events.times.tolist() == [NOON * MICRO, (NOON + 60) * MICRO]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_the_guessed_unit_is_told_and_a_given_one_is_not(unit: TimeUnit, factor: int) -> None:
    numbers = [NOON * factor, (NOON + 1) * factor]
    guessed, report = read(numbers)
    given_, silent = read(numbers, unit)
    assert guessed.events.times.tolist() == given_.events.times.tolist() == [NOON * MICRO, (NOON + 1) * MICRO]
    assert any("timestamps are numbers; taken as" in note and "seconds since 1970" in note for note in report.notes)
    assert not any("taken as" in note for note in silent.notes)


def test_fractions_of_seconds_are_kept() -> None:
    assert read([NOON + 0.25, NOON + 0.5])[0].events.times.tolist() == [NOON * MICRO + 250_000, NOON * MICRO + 500_000]


def test_small_numbers_are_a_bare_order() -> None:
    dataset, report = read([3, 1])
    assert not dataset.has_clock
    assert dataset.events.times.tolist() == [3, 1]
    assert report.time_span is None
    assert report.notes == ("timestamps are numbers; taken as a bare order",)


def test_small_numbers_are_times_if_the_unit_is_given() -> None:
    dataset, report = read([3, 86_400], "s")
    assert dataset.has_clock
    assert dataset.events.times.tolist() == [3 * MICRO, 86_400 * MICRO]
    assert report.time_span == ("1970-01-01", "1970-01-02")


def test_without_times_the_order_of_rows_is_the_order() -> None:
    frame = pd.DataFrame({"user": [1, 2, 1, 2], "item": ["d", "c", "b", "a"]})
    dataset, _ = prepare(RawData(frame), PrepareConfig(min_user_events=1))
    assert not dataset.has_clock
    assert dataset.catalogue.decode(dataset.events.items) == ["d", "b", "c", "a"]


@pytest.mark.parametrize(
    "times",
    [[NOON, np.nan, NOON], [str(NOON), " ", str(NOON)], ["2024-01-01", None, "2024-01-02"], ["1", "NaN", "2"]],
)
def test_events_without_a_time_are_dropped_and_counted(times: list[Any]) -> None:
    dataset, report = read(times)
    assert len(dataset.events) == 2
    assert [(one.reason, one.rows) for one in report.dropped] == [("no timestamp", 1)]


@pytest.mark.parametrize(
    ("times", "unit", "match"),
    [
        (["2024-01-01", "2024-13-01"], None, "row 3, column 'timestamp': '2024-13-01' is no time that can be read"),
        (["2024-01-01", "7"], None, "row 3, column 'timestamp': '7' is no time that can be read. Use ISO 8601"),
        ([NOON * 1000, NOON], None, "mixes units: row 3 looks like seconds.*row 2 like milliseconds.*set time_unit"),
        ([str(NOON), str(NOON * 10**6)], None, "row 2 looks like seconds since 1970, row 3 like microseconds"),
        ([NOON, -np.inf], None, "row 3, column 'timestamp': the time is infinite. Remove such rows"),
        (["inf", "1"], "s", "row 2, column 'timestamp': the time is infinite"),
        ([NOON, NOON * 10**6], "s", "row 3, column 'timestamp': the time is beyond all calendars.*taken as seconds"),
        ([1e300, 1e300], None, "row 2, column 'timestamp': the time is beyond all calendars.*Set time_unit"),
        ([" ", ""], None, "column 'timestamp' is empty. Name another column or leave it out"),
        ([None, None], None, "column 'timestamp' is empty"),
        (pd.to_timedelta([1, 2], unit="s"), None, "column 'timestamp' has type INTERVAL, which is no time"),
        ([[1], [2]], None, r"column 'timestamp' has type \w+\[\], which is no time. Name another column"),
    ],
)
def test_what_is_no_time_is_named_with_its_row(times: Any, unit: TimeUnit | None, match: str) -> None:
    with pytest.raises(DataError, match=f"log.csv, .*{match}"):
        read(times, unit, header_rows=1)


def test_mixed_units_are_fine_when_the_unit_is_given() -> None:
    dataset, _ = read([NOON, NOON * 1000], "ms")
    assert dataset.events.times.tolist() == [NOON * 1000, NOON * MICRO]


@pytest.mark.parametrize("kind", ["INTEGER", "UINTEGER", "UBIGINT", "HUGEINT", "DECIMAL(18, 3)", "DECIMAL(10, 0)"])
def test_numbers_of_every_type_are_times(kind: str) -> None:
    query = f"SELECT range AS user, range AS item, CAST({NOON} AS {kind}) AS timestamp FROM range(2)"
    dataset, _ = prepare(RawData(Scan(query)), PrepareConfig(min_user_events=1))
    assert dataset.events.times.tolist() == [NOON * MICRO] * 2


@settings(max_examples=8, deadline=None)
@given(st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), min_size=2, max_size=8))
def test_iso_texts_name_the_moment_that_pandas_reads(moments: list[datetime]) -> None:
    dataset, _ = read([one.isoformat() for one in moments])
    wanted = pd.to_datetime(pd.Series(moments), utc=True).dt.as_unit("us").astype("int64")
    assert dataset.events.times.tolist() == wanted.tolist()
