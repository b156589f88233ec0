"""What `p5 init` writes for a log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from p5core.cli import build
from p5core.config.document import load_experiment
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.clean_events import event_frame
from p5core.plugins.discovery import load_plugins
from p5plugins.loaders.table import Table, TableConfig
from p5plugins.presets.sequential import Sequential

EVERYTHING = PrepareConfig(keep="all")


@pytest.fixture
def put(tmp_path: Path) -> Any:
    """Writes a file and returns its path."""

    def write(name: str, content: str) -> Path:
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def dataset_of(path: Path) -> Any:
    return prepare_more(Table(TableConfig(path=path)).load(), EVERYTHING)[0]


def begun(path: Path, *settings: str) -> str:
    """The experiment that `p5 init` writes."""
    target = path.with_name("begun.toml")
    target.unlink(missing_ok=True)
    chosen = [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(build(load_plugins()), ["init", str(path), "-o", str(target), *chosen])
    assert result.exit_code == 0, result.output
    return target.read_text()


@pytest.mark.parametrize("form", ["numbers", "booleans"])
def test_clicks_are_kept_and_impressions_are_not(put: Any, tmp_path: Path, form: str) -> None:
    rows = [(user, item, (user + item) % 3 == 0) for user in range(9) for item in range(9)]
    frame = pd.DataFrame(rows, columns=["user", "item", "clicked"])
    path = tmp_path / "shown.parquet"
    (frame if form == "booleans" else frame.astype({"clicked": int})).to_parquet(path)
    text = begun(path)
    assert f'where = "clicked = {"true" if form == "booleans" else 1}"' in text
    experiment = load_experiment(path.with_name("begun.toml"))
    raw = load_plugins().choose("loader", experiment.data, "data").build().load()
    kept = event_frame(prepare_more(raw, EVERYTHING)[0])
    assert list(kept[["user", "item"]].itertuples(index=False, name=None)) == [(u, i) for u, i, is_it in rows if is_it]


def test_a_condition_of_one_s_own_is_kept_beside_the_proposal(put: Any) -> None:
    rows = "".join(f"{u},{i},{(u + i) % 2},{u}\n" for u in range(9) for i in range(9))
    text = begun(put("log.csv", f"user,item,clicked,clicked_total\n{rows}"), "where=clicked_total > 2 or user = 1")
    assert 'where = "(clicked_total > 2 or user = 1) and clicked = 1"' in text
    assert "log.csv: 7 users, 9 items, 32 events" in text


def test_a_funnel_gets_a_proposal_that_can_be_taken(put: Any) -> None:
    kinds = ["view", "view", "view", "cart", "transaction"]
    rows = "".join(f"{user},{item},{kinds[item % 5]}\n" for user in range(8) for item in range(9))
    text = begun(put("shop.csv", f"user,item,event\n{rows}"))
    assert "'event' has the kinds view 48, cart 16, transaction 8." in text
    assert "\nwhere" not in text
    condition = re.search(r"where = \"(.*)\"", text)
    assert condition is not None
    taken = begun(put("shop.csv", f"user,item,event\n{rows}"), f"where={condition[1]}")
    assert "72 events" not in taken
    assert "where = \"event = 'transaction'\"" in taken
    weighed = begun(put("shop.csv", f"user,item,event\n{rows}"), "event=event", "event_weights.view=1")
    assert "[data.event_weights]" in weighed


@pytest.mark.parametrize(("lowest", "is_proposed"), [(0, True), (-1, True), (1, False), (0.5, False)])
def test_ratings_that_may_mean_none_get_a_proposal(put: Any, lowest: float, is_proposed: bool) -> None:
    rows = "".join(f"{u},{i},{lowest if (u + i) % 2 else 7}\n" for u in range(9) for i in range(9))
    assert ("# min_rating = 7" in begun(put("rated.csv", f"user,item,rating\n{rows}"))) is is_proposed


def test_repeats_are_kept_and_recommended_where_people_repeat(put: Any) -> None:
    rows = "".join(f"{user},{step % 3},{step}\n" for user in range(20) for step in range(6))
    section = Sequential(Sequential.Config()).sections(dataset_of(put("log.csv", f"user,item,t\n{rows}")))
    assert 'keep = "all"' in section
    assert "exclude_seen = false" in section
    once = "".join(f"{user},{(user + step) % 9},{step}\n" for user in range(20) for step in range(6))
    section = Sequential(Sequential.Config()).sections(dataset_of(put("once.csv", f"user,item,t\n{once}")))
    assert 'keep = "first"' in section
    assert "exclude_seen = true" in section


def test_a_preset_keeps_items_without_events_where_they_have_content(put: Any) -> None:
    log = put("log.csv", "user,item\n" + "".join(f"{user},{item}\n" for user in range(5) for item in (2, 0, 3, 1)))
    rows = "".join(f"{item},{'xy'[item % 2]}\n" for item in range(6))
    for content, kept in (("item,genre\n" + rows, True), ("item,title\n" + rows, False)):
        raw = Table(TableConfig(path=log, items=put("items.csv", content))).load()
        dataset, _ = prepare_more(raw, PrepareConfig(keep="all", cold_items=True))
        text = Sequential(Sequential.Config()).sections(dataset)
        assert f"cold_items = {'true' if kept else 'false'}" in text
        assert "2 items of the items table have no events" in text
