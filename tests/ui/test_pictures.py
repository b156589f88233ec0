"""Pictures of items: which columns name them, which files may be shown, and that a browser draws them."""

from __future__ import annotations

import base64
import socket
import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from p5core.config.document import parse_experiment
from p5core.plugins.discovery import load_plugins
from p5core.workflows import train as pipeline
from p5ui.pages.recommend.pictures import MAX_PIXELS, picture_column, picture_source
from p5ui.workspace.workspace import Workspace

SAFE = "https://example.org/a.png?size=2"
EXPERIMENT = """
[data]
name = "table"
path = "FOLDER/pictured.csv"
items = "FOLDER/pictured-items.csv"

[model]
width = 8
max_length = 12
backbone = { name = "gpt", n_layers = 1 }

[[stages]]
tasks = [{ name = "next_item" }]
epochs = 1

[evaluate]
resamples = 10
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "inner").mkdir()
    Image.new("RGB", (400, 200), "red").save(tmp_path / "outer.png")
    Image.new("RGB", (400, 200), "red").save(tmp_path / "inner" / "red.png")
    return Workspace(tmp_path / "inner", load_plugins())


def opened(source: str | None) -> Any:
    assert source is not None
    head, _, data = source.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(BytesIO(base64.b64decode(data)))


def test_columns_of_addresses_and_of_file_names_are_pictures() -> None:
    assert picture_column(pd.DataFrame({"title": ["a"], "link": [SAFE], "cover": [SAFE]})) == "link"
    assert picture_column(pd.DataFrame({"cover": ["https://example.org/1", None]})) == "cover"
    assert picture_column(pd.DataFrame({"file": ["pictures/a.JPG", SAFE]})) == "file"
    assert picture_column(pd.DataFrame({"link": ["https://example.org/page"], "cover": ["javascript:x"]})) is None
    assert picture_column(pd.DataFrame({"cover": ["file:///a.png"], "poster": ["ftp://a/b.png"]})) is None
    assert picture_column(pd.DataFrame({"cover": [None, None], "poster": [1, 2]})) is None


def test_a_file_is_sent_small_and_an_address_as_it_is(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(picture_source(workspace, "red.png")).size == (128, 64)
    reached: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: reached.append(address))
    assert picture_source(workspace, SAFE) == SAFE
    assert reached == [], "only browsers fetch addresses"


def test_only_pictures_below_the_folder_are_shown(workspace: Workspace) -> None:
    (workspace.folder / "link.png").symlink_to(workspace.folder.parent / "outer.png")
    (workspace.folder / "text.png").write_text("no picture")
    (workspace.folder / "drawing.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    side = int(MAX_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(workspace.folder / "huge.png")
    absolute = str(workspace.folder / "red.png")
    names = ("../outer.png", absolute, "link.png", "text.png", "drawing.png", "huge.png", "none.png", "\0.png", "", " ")
    assert {name: picture_source(workspace, name) for name in names} == dict.fromkeys(names)
    assert picture_source(workspace, None) is None
    assert picture_source(workspace, float("nan")) is None


def write_pictured(folder: Path) -> None:
    """A log of ten items: every other picture is on the web."""
    (folder / "covers").mkdir()
    rows = [
        f"{user},{(user + step) % 10},{1_700_000_000 + user * 100 + step}" for user in range(30) for step in range(8)
    ]
    (folder / "pictured.csv").write_text("\n".join(["user,item,timestamp", *rows]))
    items = ["item,title,cover"]
    for item in range(10):
        Image.new("RGB", (60, 60), (item * 20, 80, 120)).save(folder / "covers" / f"{item}.png")
        place = f"covers/{item}.png" if item % 2 else f"http://pictures.example/{item}.png"
        items.append(f"{item},Thing {item},{place}")
    (folder / "pictured-items.csv").write_text("\n".join(items))


def test_a_browser_draws_them(ui, page: Page, shot) -> None:
    folder = ui.workspace.folder
    write_pictured(folder)
    experiment = parse_experiment(tomllib.loads(EXPERIMENT.replace("FOLDER", str(folder))), "pictured")
    pipeline.run(experiment, ui.workspace.runs, "pictured", ui.workspace.registry)
    picture = (folder / "covers" / "1.png").read_bytes()
    page.route("http://pictures.example/**", lambda route: route.fulfill(body=picture, content_type="image/png"))
    page.goto(f"{ui.address}/recommend?run=pictured")
    expect(page.locator("#recommend-found label")).to_have_count(10)
    page.locator("#recommend-go").click()
    images = page.locator("#recommend-list-0 li img")
    expect(images).to_have_count(10)
    places = [str(one.get_attribute("src")).partition(":")[0] for one in images.all()]
    assert sorted(places) == ["data"] * 5 + ["http"] * 5
    for image in images.all():
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
        assert image.evaluate("image => image.naturalWidth") == 60
    shot(page, "pictures")
    ui.workspace.jobs.delete("pictured")
