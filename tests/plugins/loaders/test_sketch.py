"""Looking at a table before it is loaded: what is guessed, and what is wrong, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from p5core.data.ingest.first_events import read_events
from p5core.data.profile.preview import Preview
from p5core.errors import DataError
from p5plugins.loaders.sql import SQL
from p5plugins.loaders.table import Table, TableConfig

GOOD = "user;thing;time\n" + "".join(f"{n % 7};{n};{1_700_000_000 + n}\n" for n in range(5_000))


def preview(folder: Path, text: str, **options: object) -> Preview:
    path = folder / "log.csv"
    path.write_text(text)
    return Table(TableConfig.model_validate({"path": path, **options})).preview()


def test_what_is_guessed(tmp_path: Path) -> None:
    found = preview(tmp_path, GOOD, item="thing")
    assert found.columns == {"user": "user", "item": "thing", "timestamp": "time"}
    assert found.settings == {"separator": ";", "header": True, "quote": '"'}
    assert found.preview.columns.tolist() == ["user", "thing", "time"]
    assert found.fault == ""
    assert found.head is not None


def test_columns_that_are_not_found_are_told(tmp_path: Path) -> None:
    missing = preview(tmp_path, GOOD)
    assert missing.head is None
    assert "no column looks like the item" in missing.fault
    assert missing.columns == {"user": "user", "timestamp": "time"}
    assert "separator is wrong: set separator = ';'" in preview(tmp_path, GOOD, separator="\t").fault
    ignored = preview(tmp_path, GOOD, item="thing", timestamp="")
    assert "timestamp" not in ignored.columns


def test_only_the_beginning_is_read(tmp_path: Path) -> None:
    found = preview(tmp_path, GOOD + "x;;not a time\n", item="thing")
    assert found.head is not None
    assert "1000" in str(found.head.interactions)


@pytest.mark.parametrize(("text", "sentence"), [("", "is empty"), ("\x00\ufffd", "not valid utf-16")])
def test_what_cannot_be_seen_at_all(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode("latin-1", errors="replace") if not text else b"\xff\xfe\x00\x01\n")
    with pytest.raises(DataError, match=sentence):
        Table(TableConfig(path=path)).preview()


def test_who_can_be_held_to_a_folder() -> None:
    assert Table.reads_only_paths
    assert not SQL.reads_only_paths


def test_days_far_below_tell_what_the_first_rows_leave_open(tmp_path: Path) -> None:
    early = "user,item,date\n" + "".join(f"{n},{n % 9},1/{1 + n % 12}/10 8:26\n" for n in range(1_200))
    for late, day_first in (("1,1,1/13/10 8:26\n", False), ("1,1,13/1/10 8:26\n", True)):
        head = preview(tmp_path, early + late).head
        assert head is not None
        assert head.day_first is day_first
        events, notes = read_events(head)
        assert str(events["timestamp"].iloc[1]).startswith("2010-02-01" if day_first else "2010-01-02")
        assert any("2010-01-01 08:26:00" in note for note in notes)
    head = preview(tmp_path, early).head
    assert head is not None
    note = "times such as '1/1/10 8:26' can be read in several ways; set day_first or time_format"
    assert note in read_events(head)[1]
