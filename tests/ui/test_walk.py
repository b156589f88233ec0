"""The whole way in one browser: a person's own file, its doctor, a model, its export, and what it recommends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from p5core.config.document import load_experiment
from p5core.system.files import write_text
from p5ui.workspace.workspace import Workspace

Shot = Callable[[Page, str], None]


def examine(page: Page) -> None:
    expect(page.locator("#data-guesses")).to_contain_text("guessed separator semicolon")
    page.locator("#data-examine").click()
    expect(page.locator("#data-merits")).to_contain_text("enough for models that read sequences")


def take_data(page: Page, workspace: Workspace, file: Path, shot: Shot) -> None:
    page.locator("#data-upload input[type=file]").set_input_files(file)
    expect(page.locator("#data-user input")).to_have_value("customer_id")
    examine(page)
    expect(page.locator("#data-figures")).to_contain_text("60")
    shot(page, "data")
    page.reload()
    examine(page)
    page.locator("#data-name").locator("input, textarea").fill("shop")
    page.locator("#data-save").click()
    expect(page.locator("#data-saved a")).to_have_attribute("href", "train?draft=shop")
    experiment = load_experiment(workspace.experiments / "shop.toml")
    assert experiment.data.options["path"] == "uploads/shop.csv"
    assert experiment.prepare.min_user_events == 5


def train(page: Page, address: str, workspace: Workspace) -> None:
    page.goto(f"{address}/train?draft=shop")
    text = page.locator("#train-toml .cm-content")
    for option, line in (("model-width", "width = 8"), ("stages-0-epochs", "epochs = 1")):
        page.locator(f"#option-{option} input").fill(line[-1])
        expect(text).to_contain_text(line)
    expect(page.locator("#train-note")).to_contain_text("valid")
    page.locator("#train-name").locator("input, textarea").fill("small-shop")
    page.locator("#train-save").click()
    expect(page.locator("#train-note")).to_contain_text("Saved as draft small-shop")
    assert load_experiment(workspace.experiments / "small-shop.toml").stages[0].epochs == 1
    page.locator("#train-plan").click()
    expect(page.locator("#train-expected")).to_contain_text("items fit a full softmax", timeout=60_000)
    expect(page.locator("#train-expected")).to_contain_text("Estimate for this machine")
    page.locator("#train-run").locator("input, textarea").fill("mine")
    page.locator("#train-start").click()
    page.wait_for_url("**/runs?run=mine")
    expect(page.locator("#runs-state")).to_contain_text("mine: done", timeout=60_000)
    expect(page.locator("#runs-table")).to_contain_text("ndcg@10")


def export(page: Page, address: str, folder: Path, shot: Shot) -> None:
    page.goto(f"{address}/export?run=mine")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.locator("#export-state")).to_contain_text("Done", timeout=90_000)
    expect(page.locator("#export-note")).to_contain_text("Equal to the network on 64 random requests")
    expect(page.locator("#export-parity").get_by_role("gridcell", name="ndcg@10")).to_be_visible()
    expect(page.locator("#export-python")).to_contain_text("InferenceSession")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the bundle").click()
    path = folder / "mine.zip"
    download.value.save_as(path)
    done = subprocess.run(
        [sys.executable, "-m", "p5core.cli", "verify", path], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page.get_by_role("button", name="Measure the latency here").click()
    expect(page.locator("#export-latency")).to_contain_text("one thread")
    page.locator("#export-upload input[type=file]").set_input_files(path)
    expect(page.locator("#export-verdict")).to_contain_text("Verified. mine.zip: every file is as it was exported")
    shot(page, "export")
    page.reload()
    expect(page.locator("#export-state")).to_contain_text("Done")


def recommend(page: Page, address: str, shot: Shot) -> None:
    page.goto(f"{address}/recommend?run=mine")
    found = page.locator("#recommend-found")
    titles = [found.locator("label").nth(place).inner_text().strip() for place in range(2)]
    for title in titles:
        found.get_by_label(title, exact=True).check()
        expect(page.locator("#recommend-history")).to_contain_text(title)
    page.get_by_role("button", name="Recommend", exact=True).click()
    expect(page.locator("#recommend-note")).to_contain_text("The export agrees: the same 10 items in the same order")
    answers = [page.locator(f"#recommend-list-{place} li") for place in range(2)]
    network, exported = ([row.get_attribute("data-item") for row in one.all()] for one in answers)
    assert network == exported
    assert len(set(network)) == 10
    expect(page.locator("#recommend-list-0")).to_contain_text("because of")
    page.get_by_label("Search titles").fill("no such title")
    expect(found.locator("label")).to_have_count(0)
    page.get_by_role("button", name="Random user").click()
    expect(page.get_by_label("User of the data")).not_to_have_value("")
    shot(page, "recommend")


def test_from_a_file_to_recommendations(ui, page: Page, shop: str, shot: Shot, tmp_path: Path) -> None:
    write_text(tmp_path / "shop.csv", shop)
    page.goto(f"{ui.address}/data")
    take_data(page, ui.workspace, tmp_path / "shop.csv", shot)
    train(page, ui.address, ui.workspace)
    export(page, ui.address, tmp_path, shot)
    recommend(page, ui.address, shot)
    ui.workspace.jobs.delete("mine")
