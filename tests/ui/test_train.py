"""The page Train: a form of what is installed, the text that it writes, and its start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect

PLUGIN = '''
"""A backbone of a third party."""

from p5core.hookspecs import hookimpl


@hookimpl
def p5_backbones():
    from p5_tide.tide import Tide

    return [Tide]
'''
BACKBONE = '''
"""Ebb and flow."""

from typing import Literal

from pydantic import Field

from p5plugins.backbones.recurrent import GRU


class TideConfig(GRU.Config):
    """Options of the tide."""

    height: float = Field(0.5, ge=0, le=1)
    """How far the water rises."""

    moon: Literal["new", "full"] = "new"
    """What pulls at it."""


class Tide(GRU):
    """A network that comes and goes."""

    name = "tide"
    Config = TideConfig
'''


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a plugin is installed."""
    folder = tmp_path_factory.mktemp("packages")
    info, package = folder / "p5_tide-0.1.0.dist-info", folder / "p5_tide"
    info.mkdir()
    package.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: p5-tide\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[p5]\ntide = p5_tide\n")
    (package / "__init__.py").write_text(PLUGIN)
    (package / "tide.py").write_text(BACKBONE)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, small: str) -> Path:
    """A working folder with a draft."""
    path = tmp_path_factory.mktemp("train")
    (path / "experiments").mkdir()
    (path / "experiments" / "small.toml").write_text(small)
    return path


@pytest.fixture(scope="module")
def address(packages: Path, folder: Path) -> Iterator[str]:
    """An interface where the plugin is installed."""
    command = [sys.executable, "-m", "p5core.cli", "ui", "--folder", str(folder), "--port", "0"]
    known = {**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=known) as process:
        assert process.stdout is not None
        yield re.findall(r"http://[\d.:]+", process.stdout.readline())[0]
        process.terminate()


@pytest.fixture
def form(address: str, page: Page) -> Page:
    """The page with the draft and its form."""
    page.goto(f"{address}/train?draft=small")
    expect(page.locator("#option-model-width")).to_be_visible(timeout=40_000)
    return page


def choose(page: Page, place: str, name: str) -> None:
    page.locator(f"{place} input").first.click()
    page.get_by_role("option", name=name, exact=True).first.click()


def replace_text(page: Page, text: str) -> None:
    page.locator("#train-toml .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def test_the_form_writes_the_text(form: Page, shot) -> None:
    text, note = form.locator("#train-toml .cm-content"), form.locator("#train-note")
    expect(note).to_contain_text("valid")
    form.locator("#option-model-width input").fill("16")
    expect(text).to_contain_text("width = 16")
    choose(form, "#option-model-encoders", "categories")
    expect(note).to_contain_text("model.encoders.categories.columns: this option is required")
    form.locator("#train-add-stage").click()
    expect(form.locator("#train-stage-1")).to_be_visible()
    expect(text).to_contain_text('name = "stage-2"')
    form.locator("#train-remove-1").click()
    expect(form.locator("#train-stage-1")).to_have_count(0)
    choose(form, "#train-begin", "Pre-train on hidden items, then fine-tune")
    expect(form.locator("#train-stage-1")).to_be_visible()
    expect(text).to_contain_text('name = "masked_item"')
    shot(form, "train")


def test_an_option_of_a_plugin_appears_by_itself(form: Page) -> None:
    choose(form, "#option-model-backbone", "tide")
    expect(form.locator("#option-model-backbone")).to_contain_text("A network that comes and goes.")
    height = form.locator("#option-model-backbone-height")
    expect(height).to_contain_text("How far the water rises.")
    expect(height.locator("input[type=range]")).to_have_attribute("max", "1")
    choose(form, "#option-model-backbone-moon", "full")
    expect(form.locator("#train-toml .cm-content")).to_contain_text('moon = "full"')
    expect(form.locator("#train-note")).to_contain_text("valid")


def test_the_text_is_checked_and_draws_the_form(form: Page, small: str) -> None:
    note = form.locator("#train-note")
    replace_text(form, "[data\n")
    expect(note).to_contain_text("not valid TOML")
    replace_text(form, '[data]\nname = "table"\npath = "/etc/passwd"\n')
    expect(note).to_contain_text("'/etc/passwd' is not below the working folder")
    replace_text(form, small.replace("n_layers = 1", "layers = 1"))
    expect(note).to_contain_text("model.backbone: unknown option 'layers'. Did you mean 'n_layers'?")
    replace_text(form, small.replace("epochs = 2", "epochs = 3"))
    form.locator("#train-name").locator("input, textarea").click()
    expect(form.locator("#option-stages-0-epochs input")).to_have_value("3")
    form.reload()
    expect(form.locator("#option-stages-0-epochs input")).to_have_value("3")


def test_a_draft_is_saved_foreseen_and_started(form: Page, folder: Path) -> None:
    form.locator("#train-name").locator("input, textarea").fill("second")
    form.locator("#train-save").click()
    expect(form.locator("#train-note")).to_contain_text("Saved as draft second")
    assert (folder / "experiments" / "second.toml").exists()
    form.locator("#train-foresee").click()
    expect(form.locator("#train-expected")).to_contain_text("items fit a full softmax", timeout=60_000)
    expect(form.locator("#train-expected")).to_contain_text("Estimate for this machine")
    form.locator("#train-run").locator("input, textarea").fill("mine")
    form.locator("#train-start").click()
    form.wait_for_url("**/runs?run=mine")
    assert (folder / "jobs").is_dir()


def test_a_script_starts_a_run(address: str, folder: Path, small: str) -> None:
    client = Client(address, verbose=False)
    with pytest.raises(AppError, match="unknown option 'layers'"):
        client.predict(small.replace("n_layers", "layers"), "scripted", api_name="/start_run")
    assert client.predict(small, "scripted", api_name="/start_run") == "scripted"
    with pytest.raises(AppError, match="'scripted'"):
        client.predict(small, "scripted", api_name="/start_run")
