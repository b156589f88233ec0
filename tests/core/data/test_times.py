"""Reading timestamps: units, texts, dates, and what is none of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p5core.config.prepare import PrepareConfig
from p5core.data.dataset import Dataset
from p5core.data.ingest.prepare import prepare
from p5core.data.profile.report import PrepareReport
from p5core.data.raw import RawData, Scan, TimeUnit
from p5core.errors import DataError


def moment(*numbers: int) -> int:
    return int(datetime(*numbers, tzinfo=UTC).timestamp()) * MICRO  # type: ignore[arg-type]


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


@pytest.mark.parametrize("texts", [["2024-02-01", "2024-02-02"], ["02 01, 2024", "02 02, 2024"]])
def test_days_without_an_hour_begin_at_midnight(texts: list[str]) -> None:
    dataset, _ = read(texts)
    midnight = int(datetime(2024, 2, 1, tzinfo=UTC).timestamp())
    assert dataset.events.times.tolist() == [midnight * MICRO, (midnight + 86_400) * MICRO]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["12/1/2010 8:26", "12/13/2010 9:02"], moment(2010, 12, 1, 8, 26)),
        (["12/1/10 8:26", "12/13/10 9:02"], moment(2010, 12, 1, 8, 26)),
        (["31/12/10", "01/01/11"], moment(2010, 12, 31)),
        (["31.12.10", "01.01.11"], moment(2010, 12, 31)),
        (["15-01-01", "15-01-31", "16-03-17"], moment(2015, 1, 1)),
        (["20150101", "20150102"], moment(2015, 1, 1)),
        (["20100101030000", "20100102030000"], moment(2010, 1, 1, 3)),
        (["201001010300", "201001020300"], moment(2010, 1, 1, 3)),
        (["13012010", "14012010"], moment(2010, 1, 13)),
        (["13-01-2014", "14-01-2014"], moment(2014, 1, 13)),
        (["11/11/2019 9:05:58 AM", "11/15/2019 9:05:58 PM"], moment(2019, 11, 11, 9, 5, 58)),
        (["05/01/2014 08:26:00.250", "13/01/2014"], moment(2014, 1, 5, 8, 26) + 250_000),
        (["31-Oct-2023", "01-Nov-2023"], moment(2023, 10, 31)),
        (["Nov 5, 2011", "Dec 25, 2011"], moment(2011, 11, 5)),
        (["01/01/2024", "02/02/2024"], moment(2024, 1, 1)),  # both readings say the same
    ],
)
def test_one_reading_fits_the_whole_column(texts: list[str], first: int) -> None:
    dataset, report = read(texts)
    assert dataset.events.times[0] == first
    assert dataset.events.times[0] < dataset.events.times[1]
    seconds = str(np.datetime64(first, "us"))[:19].replace("T", " ")
    assert any(note.startswith(f"times such as '{texts[0]}' are read as {seconds}") for note in report.notes)


def test_a_day_that_tells_may_stand_far_below() -> None:
    dataset, _ = read([f"1/{1 + day % 12}/2020" for day in range(30_000)] + ["1/13/2020"])
    assert dataset.events.times[0] == moment(2020, 1, 1)
    assert dataset.events.times[11] == moment(2020, 1, 12)


def test_day_and_month_that_cannot_be_told_apart_are_asked_for() -> None:
    texts = ["01/01/2024", "01/02/2024", "03/04/2024"]
    with pytest.raises(DataError, match=r"row 3, .*'01/02/2024' can be read in several ways.*day_first"):
        read(texts, header_rows=1)
    for day_first, second in ((True, moment(2024, 2, 1)), (False, moment(2024, 1, 2))):
        frame = pd.DataFrame({"user": range(3), "item": range(3), "timestamp": texts})
        dataset, _ = prepare(RawData(frame, day_first=day_first), PrepareConfig(min_user_events=1))
        assert dataset.events.times[1] == second


@pytest.mark.parametrize("texts", [["10-01-05", "10-02-07"], ["01022010", "02032010"], ["10/11/12", "11/11/12"]])
def test_years_that_may_stand_first_are_asked_for_too(texts: list[str]) -> None:
    with pytest.raises(DataError, match=r"can be read in several ways that fit the column \(.* first, .* first"):
        read(texts)


@pytest.mark.parametrize("numbers", [[20150101, 20150102], [20150101.0, 20150102.0, np.nan]])
def test_numbers_that_are_dates_are_dates(numbers: list[float]) -> None:
    dataset, report = read(numbers)
    assert dataset.events.times.tolist() == [moment(2015, 1, 1), moment(2015, 1, 2)]
    assert any("times such as '20150101' are read as 2015-01-01" in note for note in report.notes)


def test_numbers_that_only_look_like_dates_stay_numbers() -> None:
    for numbers in ([20150101, 20159999], [20150101.5, 20150102.0], [12345678, 23456789]):
        dataset, _ = read(numbers)
        assert not dataset.has_clock


def test_a_format_is_taken_for_numbers_with_gaps() -> None:
    frame = pd.DataFrame({"user": range(3), "item": range(3), "timestamp": [13012015.0, np.nan, 14012015.0]})
    dataset, _ = prepare(RawData(frame, time_format="%d%m%Y"), PrepareConfig(min_user_events=1))
    assert dataset.events.times[0] == moment(2015, 1, 13)


def test_times_far_in_the_future_are_pointed_out() -> None:
    _, report = read([10**14 // 3, 10**14 // 2])
    late = (
        "some times lie more than a year in the future, up to 3554-06-09; set time_unit or time_format if that is wrong"
    )
    assert late in report.notes


def test_a_format_of_ones_own_is_taken() -> None:
    frame = pd.DataFrame({"user": range(2), "item": range(2), "timestamp": ["2014|01|02", "2014|01|03"]})
    dataset, _ = prepare(RawData(frame, time_format="%Y|%m|%d"), PrepareConfig(min_user_events=1))
    assert dataset.events.times[0] == moment(2014, 1, 2)
    with pytest.raises(DataError, match=r"time_format = 'never' is no format|'2014\|01\|02' is no time"):
        prepare(RawData(frame, time_format="never"), PrepareConfig(min_user_events=1))
    with pytest.raises(DataError, match=r"time_format = '%Q' is no format of times. Write one such as '%d/%m/%Y"):
        prepare(RawData(frame, time_format="%Q"), PrepareConfig(min_user_events=1))
    numbers = frame.assign(timestamp=[20170101, 20170102])
    dataset, _ = prepare(RawData(numbers, time_format="%Y%m%d"), PrepareConfig(min_user_events=1))
    assert dataset.events.times[0] == moment(2017, 1, 1)


@pytest.mark.parametrize(
    ("times", "row", "value"),
    [
        ([str(NOON), "soon", str(NOON)], 3, "soon"),
        ([str(NOON)] * 5 + ["timestamp", str(NOON)], 7, "timestamp"),
        (["soon", str(NOON), str(NOON)], 2, "soon"),
        (["13/12/2010", "12/13/2010", "14/12/2010"], 3, "12/13/2010"),
        (["2024-01-01", "2024-01-02", str(NOON)], 4, str(NOON)),
    ],
)
def test_the_value_that_does_not_fit_the_others_is_blamed(times: list[str], row: int, value: str) -> None:
    with pytest.raises(
        DataError, match=rf"log.csv, row {row}, column 'timestamp': '{value}' is no time that can be read"
    ):
        read(times, header_rows=1)


def test_a_log_without_times_says_so() -> None:
    frame = pd.DataFrame({"user": [1, 2, 1, 2], "item": ["d", "c", "b", "a"]})
    _, report = prepare(RawData(frame), PrepareConfig(min_user_events=1))
    assert "no times: the rows of each user are taken as oldest first" in report.notes


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
        (
            [NOON * 1000, NOON],
            None,
            r"row 3, .*: the time looks like seconds.*that of .*, row 2 like milliseconds.*leave the rarer ones out",
        ),
        (
            [str(NOON), str(NOON * 10**6)],
            None,
            "row 2, .* looks like seconds since 1970, but that of .*row 3 like microseconds",
        ),
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
