"""Online Retail as it is published, from the upload to a verified export in the browser."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

PATIENCE = 300_000
"""Milliseconds for what works on half a million rows."""


def invented(folder: Path) -> Path:
    """A small log in the form of the published one: M/D/YY without leading zeros, baskets, customers missing."""
    draw = random.Random(0)
    rows = []
    for basket in range(400):
        customer = None if basket % 9 == 0 else float(12_346 + draw.randrange(60))
        day = f"{1 + basket * 12 // 400}/{1 + basket % 28}/10 {8 + basket % 10}:{draw.randrange(10, 60)}"
        rows += [(str(536_365 + basket), draw.choice(["85123A", "22720", "POST", "71053", "84406B", "22752", "21730"]),
                  f"ITEM {draw.randrange(30)}", 6, day, 2.55, customer, "France") for _ in range(4)]  # fmt: skip
    columns = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    path = folder / "retail.parquet"
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    return path


PUBLISHED = Path(os.environ.get("P5_DATA", "")) / "online-retail"
real = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the environment variable P5_DATA with online-retail")

FILES = {
    "invented": ("StockCode", "times such as '1/1/10 8:"),
    "online_retail_2010-12_to_2011-06_with_ids.parquet": ("StockCode", "are read as 2010-12-01 08:26:00"),
    "online_retail_full_no_ids.parquet": ("Description", "CustomerID"),
}


@pytest.mark.parametrize("name", [pytest.param(one, marks=() if one == "invented" else real) for one in FILES])
def test_the_wholesaler_from_upload_to_export(ui, page: Page, tmp_path: Path, name: str) -> None:
    path = invented(tmp_path) if name == "invented" else PUBLISHED / name
    item, note = FILES[name]
    run = f"retail-{len(name)}"
    page.goto(f"{ui.address}/data")
    page.locator("#data-upload input[type=file]").set_input_files(path)
    expect(page.locator("#data-guesses")).to_contain_text("CustomerID", timeout=PATIENCE)
    if item != "StockCode":
        page.locator("#data-item input").click()
        page.get_by_role("option", name=item, exact=True).click()
    expect(page.locator("#data-item input")).to_have_value(item)
    expect(page.locator("#data-guesses")).to_contain_text(note)
    expect(page.locator("#data-events")).to_contain_text("2010-")
    page.locator("#data-examine").click()
    expect(page.locator("#data-merits")).to_contain_text("ime", timeout=PATIENCE)
    page.locator("#data-name").locator("input, textarea").fill(run)
    page.locator("#data-save").click()
    page.locator("#data-saved a").click()
    page.wait_for_url("**/train?draft=*")
    text = page.locator("#train-toml .cm-content")
    for option, line in (("model-width", "width = 8"), ("stages-0-epochs", "epochs = 1")):
        page.locator(f"#option-{option} input").fill(line[-1], timeout=60_000)
        expect(text).to_contain_text(line)
    expect(page.locator("#train-note")).to_contain_text("valid")
    page.locator("#train-run").locator("input, textarea").fill(run)
    page.locator("#train-start").click()
    page.wait_for_url(f"**/runs?run={run}")
    expect(page.locator("#runs-state")).to_contain_text(f"{run}: done", timeout=PATIENCE)
    page.goto(f"{ui.address}/export?run={run}")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.locator("#export-state")).to_contain_text("Done", timeout=PATIENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the bundle").click()
    download.value.save_as(tmp_path / "mine.zip")
    page.locator("#export-upload input[type=file]").set_input_files(tmp_path / "mine.zip")
    expect(page.locator("#export-verdict")).to_contain_text("Verified.", timeout=PATIENCE)
    ui.workspace.jobs.delete(run)
