"""The page Data: a broken file gets a sentence; a good one is read, examined and kept as an experiment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from p5core.config.prepare import PrepareConfig
from p5core.errors import ConfigError
from p5core.plugins.discovery import load_plugins
from p5ui.i18n.words import words
from p5ui.pages.data.profile_view import diagnose, dropped_rows, figures, look, merit_text, popularity, warning_text
from p5ui.workspace.uploads import delete_upload
from p5ui.workspace.workspace import Workspace

ENGLISH: dict[str, str] = {"accept-language": "en"}
CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}


BROKEN = {
    "empty.csv": (b"", "empty.csv is empty"),
    "binary.csv": (bytes(range(128, 256)) * 20, "binary.csv, line 1: not valid utf-8"),
    "binary.parquet": (bytes(range(128, 256)) * 20, "binary.parquet is no Parquet file or is damaged"),
    "separator.csv": (b"user#item\n1#2\n3#4\n", "has one column only, 'user#item'"),
    "header.csv": (b"user,item,time\n", "header.csv has no rows"),
    "item.csv": (b"user,thing,time\n1,2,1700000000\n", "no column looks like the item"),
    "time.csv": (b"user,item,time\n1,2,soon\n", "row 2, column 'time': 'soon' is no time"),
    "archive.zip": (b"PK\x03\x04" * 20, "archive.zip cannot be opened or unpacked"),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("data").resolve(), load_plugins())


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_file_is_one_sentence(workspace: Workspace, name: str) -> None:
    content, sentence = BROKEN[name]
    (workspace.folder / name).write_bytes(content)
    found = look(workspace, {"name": "table", "path": name})
    assert sentence in found.fault
    assert found.events is None
    assert "\n" not in found.fault


def test_a_file_elsewhere_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="is not below the working folder"):
        look(workspace, {"name": "table", "path": "/etc/passwd"})


@pytest.mark.parametrize("headers", [ENGLISH, CHINESE])
def test_what_the_doctor_says_in_words(workspace: Workspace, headers: dict[str, str]) -> None:
    cleaning = PrepareConfig(keep="first", min_user_events=5, min_item_events=5)
    found = diagnose(workspace, {"name": "synthetic", "ratings": True}, cleaning, None)
    language = "zh" if headers is CHINESE else "en"
    assert merit_text(headers, found).count("\n\n") == len(found.merits) - 1
    table = figures(headers, found)
    assert table.iloc[0].tolist() == [words()["data.figure_users"][language], "1,000", "1,000"]
    assert table[table.columns[1]].tolist()[2] == "20,000"
    repeated = {"en": "repeated user and item, kept the first", "zh": "用户与物品重复，保留第一个"}
    assert dropped_rows(headers, found).iloc[0, 1] == repeated[language]
    assert {"en": "future", "zh": "未来"}[language] in warning_text(headers, found)
    assert popularity(found)["rank"].iloc[0] == 0


def test_a_large_log_says_that_it_is_examined(ui, page: Page, shop: str) -> None:
    (ui.workspace.folder / "held.csv").write_text(shop)
    page.goto(f"{ui.address}/data?file=held.csv")
    expect(page.locator("#data-examine")).to_be_visible()
    page.route("**/queue/join*", lambda route: None)  # the examination itself never begins
    page.locator("#data-examine").click()
    expect(page.locator("#data-busy")).to_contain_text("Examining")
    page.unroute_all()


def test_every_reason_has_its_sentence() -> None:
    reasons = {
        "order": ("clock", "rows", "baskets"),
        "histories": ("long", "short", "single"),
        "ratings": ("none", "constant", "varied"),
        "content": ("columns", "title", "ids"),
        "repeats": ("many",),
        "cold": ("many",),
    }
    for subject, names in reasons.items():
        assert {f"data.subject_{subject}", *(f"data.merit_{subject}_{name}" for name in names)} <= words().keys()


def upload(page: Page, name: str, content: bytes) -> None:
    file: Any = {"name": name, "mimeType": "text/csv", "buffer": content}
    page.locator("#data-upload input[type=file]").set_input_files(file)


def test_a_broken_upload_gets_a_sentence(ui, page: Page) -> None:
    page.goto(f"{ui.address}/data")
    upload(page, "nothing.csv", b"user,thing,time\n1,2,1700000000\n")
    expect(page.locator("#data-guesses")).to_contain_text("no column looks like the item")
    expect(page.locator("#data-examine")).to_be_hidden()
    upload(page, "damaged.csv", BROKEN["binary.csv"][0])
    expect(page.locator("#data-guesses")).to_contain_text("not valid utf-8")
    upload(page, "empty.csv", b"")
    expect(page.get_by_text("empty.csv is empty")).to_be_visible()


def test_a_column_is_corrected(ui, page: Page) -> None:
    late: list[Route] = []
    page.route("**/run/predict*", lambda route: late.append(route), times=1)
    page.goto(f"{ui.address}/data")
    upload(page, "things.csv", b"user,thing,time\n" + b"".join(b"%d,%d,17000000%02d\n" % (n, n, n) for n in range(9)))
    expect(page.locator("#data-guesses")).to_contain_text("no column looks like the item")
    late[0].continue_()  # what a slow machine says of its files takes nothing away
    page.locator("#data-item input").click()
    page.get_by_role("option", name="thing", exact=True).click()
    expect(page.locator("#data-events")).to_contain_text("2023-11-14")
    expect(page.locator("#data-examine")).to_be_visible()
    expect(page).to_have_url(re.compile("file=uploads%2Fthings.csv"))


def test_conditions_kinds_of_events_and_bad_rows_are_chosen(ui, page: Page) -> None:
    """Each option that the page has no place for is in the form, and what it drops can be downloaded."""
    kinds = ("view", "view", "buy")
    rows = [f"{user},{item},{kinds[item % 3]},{1_700_000_000 + item}" for user in range(12) for item in range(9)]
    page.goto(f"{ui.address}/data")
    upload(page, "kinds.csv", "\n".join(["user,item,kind,time", *rows, "99,1,buy,soon", ""]).encode())
    expect(page.locator("#data-guesses")).to_contain_text("'kind' looks like the kind of event ('view', 'buy')")
    page.locator("#data-more button").first.click()
    page.locator("#data-more-where textarea").fill("kind = 'buy'")
    page.locator("#data-more-on_error input").click()
    page.get_by_role("option", name="drop", exact=True).click()
    page.locator("#data-refine").click()
    expect(page.locator("#data-guesses")).not_to_contain_text("looks like the kind of event")
    expect(page.locator("#data-more-where textarea")).to_have_value("kind = 'buy'")
    page.locator("#data-examine").click()
    expect(page.locator("#data-dropped")).to_contain_text("kind = 'buy'")
    with page.expect_download() as download:
        page.locator("#data-rejected").click()
    assert '"kinds.csv, row 110",timestamp,soon' in Path(download.value.path()).read_text()


def test_a_time_in_several_columns_is_shown(ui, page: Page) -> None:
    page.goto(f"{ui.address}/data")
    rows = "".join(f"{n},{n},2012,{1 + n % 9},{n}\n" for n in range(1, 20))
    upload(page, "calendar.csv", f"user,item,year,month,day\n{rows}".encode())
    for part in ("year", "month", "day"):
        expect(page.locator("#data-timestamp")).to_contain_text(part)
    expect(page.locator("#data-events")).to_contain_text("2012-02-01")


def test_a_built_in_set_has_its_options(ui, page: Page) -> None:
    page.goto(f"{ui.address}/data")
    page.get_by_role("tab", name="Built-in sets").click()
    page.locator("#data-loader input").click()
    page.get_by_role("option", name="synthetic", exact=True).click()
    page.locator("#data-n_users input").fill("50")
    page.locator("#data-ratings input").check()
    page.locator("#data-take").click()
    expect(page.locator("#data-events")).to_contain_text("rating")
    page.locator("#data-examine").click()
    expect(page.locator("#data-figures")).to_contain_text("20,000")
    expect(page.get_by_role("row", name="users 50 50")).to_be_visible()


def test_an_items_table_is_uploaded_where_it_belongs(ui, page: Page, shop: str) -> None:
    page.goto(f"{ui.address}/data")
    upload(page, "goods.csv", shop.encode())
    expect(page.locator("#data-examine")).to_be_visible()
    page.get_by_text("A table of items").click()
    titles = "sku,title\n" + "".join(f"{number},Thing {number}\n" for number in range(20))
    file: Any = {"name": "titles.csv", "mimeType": "text/csv", "buffer": titles.encode()}
    page.locator("#data-items-upload input[type=file]").set_input_files(file)
    expect(page.locator("#data-items input")).to_have_value("uploads/titles.csv")
    expect(page.locator("#data-examine")).to_be_visible()
    page.locator("#data-examine").click()
    expect(page.locator("#data-merits")).to_contain_text("title")
    expect(page.locator("#data-name textarea, #data-name input")).to_have_value("goods")


def test_an_upload_is_deleted_and_nothing_else(ui, page: Page, shop: str) -> None:
    page.goto(f"{ui.address}/data")
    upload(page, "mistake.csv", shop.encode())
    expect(page.locator("#data-examine")).to_be_visible()
    page.get_by_role("tab", name=words()["data.name_tab"]["en"]).click()
    expect(page.locator("#data-file input")).to_have_value("uploads/mistake.csv")
    page.locator("#data-delete").click()
    page.locator("#data-delete-no").click()
    expect(page.locator("#data-delete-no")).to_be_hidden()
    assert (ui.workspace.uploads / "mistake.csv").exists()
    page.locator("#data-delete").click()
    expect(page.locator("#data-question")).to_contain_text("uploads/mistake.csv")
    page.locator("#data-delete-yes").click()
    expect(page.get_by_text("The file uploads/mistake.csv was deleted.")).to_be_visible()
    expect(page.locator("#data-file input")).to_have_value("")
    expect(page.locator("#data-delete-no")).to_be_hidden()
    assert not (ui.workspace.uploads / "mistake.csv").exists()


@pytest.mark.parametrize("name", ["log.csv", "uploads", "uploads/../log.csv", "../x", "/etc/passwd", "uploads/sub", ""])
def test_only_uploads_are_deleted(workspace: Workspace, name: str) -> None:
    (workspace.uploads / "sub").mkdir(parents=True, exist_ok=True)
    (workspace.folder / "log.csv").write_text("user,item\n")
    with pytest.raises(ConfigError, match="is not among the uploads"):
        delete_upload(workspace, name)
    assert (workspace.folder / "log.csv").exists()


def test_an_examination_that_fails_is_not_busy_for_ever(ui, page: Page, shop: str) -> None:
    (ui.workspace.folder / "gone.csv").write_text(shop)
    page.goto(f"{ui.address}/data?file=gone.csv")
    expect(page.locator("#data-examine")).to_be_visible()
    (ui.workspace.folder / "gone.csv").unlink()
    page.locator("#data-examine").click()
    expect(page.get_by_text("There is no file")).to_be_visible()
    expect(page.locator("#data-busy")).not_to_contain_text("Examining")


def test_what_a_file_says_stays_text(ui, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    head = ["user", "item", "<img src=http://127.0.0.1:9/a>", "![x](http://127.0.0.1:9/b)", "**bold**", "2024"]
    rows = "".join(
        f"{n % 7},{n % 5},2024-01-0{1 + n % 9},2024-02-0{1 + n % 9},2024-02-0{1 + n % 9},x\n" for n in range(99)
    )
    page.goto(f"{ui.address}/data")
    upload(page, "evil.csv", (",".join(head) + "\n" + rows).encode())
    guesses = page.locator("#data-guesses")
    for name in head[2:5]:
        expect(guesses).to_contain_text(
            f"'{name}' looks like a time and is not used; take it with timestamp = '{name}'"
        )
    assert guesses.locator("img, b, strong").count() == 0
    upload(page, "noitem.csv", b"user,<img src=http://127.0.0.1:9/c>,![y](http://127.0.0.1:9/d)\n1,2,3\n2,3,4\n")
    expect(guesses).to_contain_text("the columns are: user, <img src=http://127.0.0.1:9/c>, ![y](http://127.0.0.1:9/d)")
    assert [url for url in asked if ":9/" in url] == []
