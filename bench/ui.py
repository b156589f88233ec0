"""Latency of the web interface: start, pages, and answers while two jobs train.

    python bench/ui.py [--runs 50] [--points 1000] [--turns 5] [--chromium PATH]

Needs the extra `ui` and Playwright with a Chromium. A temporary folder gets one small run, trained for real, and copies
of it with so many logged steps each; `p5 ui` works over it in a process of its own and a headless Chromium looks at it.
A page is painted when its heading is to be seen, and full when what its first event brings is there too; a first visit
has an empty cache. An action lasts from the click or key to the answer on the page, and is measured with the machine
idle otherwise, then while two jobs train, which are killed afterwards. Prints Markdown tables of seconds and the load
of the machine (1 is one busy core), which belongs beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from p5core.plugins.discovery import load_plugins
from p5core.runs.jobs import Jobs

__all__: list[str] = []

DATA = 'name = "synthetic"\nn_users = 1000\nn_items = 1500\nn_events = 40000\n'
EXPERIMENT = f"""
[data]
{DATA}
[model]
width = 32
max_length = 50
backbone = {{ name = "gpt", n_layers = 1 }}

[[stages]]
tasks = [{{ name = "next_item" }}]
epochs = EPOCHS

[evaluate]
resamples = 20
"""
PAGES = {
    "": "#home-steps",
    "data": "#data-upload",
    "train?draft=bench": "#option-model-width",
    "runs?run=run-01": "#runs-loss g.mark-line path >> nth=0",
    "compare?run=run-01": "#compare-figures >> text=ndcg@10 >> visible=true >> nth=0",
    "recommend?run=run-01": "#recommend-found label >> nth=0",
    "export?run=run-01": "#export-run input",
    "plugins": ".inventory table >> nth=0",
}
"""Address of each page → what is to be seen when it is full."""

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATIENCE = 120_000
"""Milliseconds after which something is wrong."""


@dataclass(frozen=True)
class Action:
    """Something that people do; `ready` brings the page into the state before it, and is not counted."""

    page: str
    name: str
    ready: Callable[[Page, str, int], None]
    act: Callable[[Page, int], None]


def fill_folder(folder: Path, n_runs: int, n_points: int) -> None:
    """A run and its copies, a draft, and a log as a file."""
    (folder / "experiments").mkdir()
    (folder / "uploads").mkdir()
    draft = folder / "experiments" / "bench.toml"
    draft.write_text(EXPERIMENT.replace("EPOCHS", "2"))
    p5("run", str(draft), "--runs", str(folder / "runs"), "--name", "run-00")
    first = folder / "runs" / "run-00"
    events = logged(first / "events.jsonl", n_points)
    for number in range(1, n_runs):
        path = first.with_name(f"run-{number:02d}")
        shutil.copytree(first, path)
        (path / "events.jsonl").write_text(events)
    synthetic = load_plugins().get("loader", "synthetic")
    log = synthetic(synthetic.Config(n_users=2_000, n_items=2_000, n_events=100_000)).load().interactions
    log.to_csv(folder / "uploads" / "log.csv", index=False)


def logged(file: Path, n_points: int) -> str:
    """The log of a run, with as many steps as wanted."""
    records = [json.loads(line) for line in file.read_text().splitlines()]
    step = next(record for record in records if record["kind"] == "step")
    steps = [{**step, "step": place + 1, "loss": 7 - place / n_points} for place in range(n_points)]
    others = [record for record in records if record["kind"] != "step"]
    return "".join(json.dumps(record) + "\n" for record in (*steps, *others))


def p5(*arguments: str) -> None:
    """Run a command of p5."""
    subprocess.run([sys.executable, "-m", "p5core.cli", *arguments], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of `p5 ui` over a folder."""
    command = [sys.executable, "-m", "p5core.cli", "ui", "--folder", str(folder), "--port", "0", "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield re.findall(r"http://[\d.:]+", process.stdout.readline())[0]
        finally:
            process.terminate()


@contextmanager
def training(folder: Path) -> Iterator[None]:
    """Two jobs, as the interface starts them, that train until the end."""
    jobs, names = Jobs(folder, 2), ("busy-1", "busy-2")
    try:
        for name in names:
            jobs.submit(EXPERIMENT.replace("EPOCHS", "100000"), name)
        while not all('"step"' in read(jobs.runs / name / "events.jsonl") for name in names):
            time.sleep(0.5)
        yield
    finally:
        for name in names:
            jobs.kill(name)


def read(path: Path) -> str:
    """A text file; empty when it is not there yet."""
    return path.read_text() if path.exists() else ""


@contextmanager
def tab(browser: Browser) -> Iterator[Page]:
    """A window that was never anywhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en")
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def paint(page: Page, address: str) -> None:
    """Open a page until its heading is there."""
    page.goto(address, wait_until="commit")
    page.locator("h1").first.wait_for()


def paints(browser: Browser, address: str, turns: int) -> None:
    """First and later visits of each page."""
    print("\n| page | first visit: painted | full | again: painted | worst | full | worst |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for path, shows in PAGES.items():
        painted, full = [], []
        with tab(browser) as page:
            for _ in range(turns + 1):
                began = time.perf_counter()
                paint(page, f"{address}/{path}")
                painted.append(time.perf_counter() - began)
                page.locator(shows).wait_for()
                full.append(time.perf_counter() - began)
        again = f"{statistics.median(painted[1:]):.2f} | {max(painted[1:]):.2f}"
        whole = f"{statistics.median(full[1:]):.2f} | {max(full[1:]):.2f}"
        print(f"| {path.split('?')[0] or 'home'} | {painted[0]:.2f} | {full[0]:.2f} | {again} | {whole} |", flush=True)


def open_page(path: str) -> Callable[[Page, str, int], None]:
    """Go to a full page, the first time."""

    def ready(page: Page, address: str, turn: int) -> None:
        if turn == 0:
            page.goto(f"{address}/{path}")
            page.locator(PAGES[path]).wait_for()

    return ready


def offer_run(page: Page, address: str, turn: int) -> None:
    """The page Runs with its list of runs unfolded."""
    open_page("runs?run=run-01")(page, address, turn)
    page.locator("#runs-choice input").click()
    page.get_by_role("option", name=f"run-{turn + 2:02d}", exact=True).wait_for()


def choose_run(page: Page, turn: int) -> None:
    """Take another run."""
    page.get_by_role("option", name=f"run-{turn + 2:02d}", exact=True).click()
    expect(page.locator("#runs-state")).to_contain_text(f"run-{turn + 2:02d}: done")


def search(page: Page, turn: int) -> None:
    """Look for a title."""
    page.locator("#recommend-search").locator("input, textarea").fill(f"item {turn + 700}")
    expect(page.locator("#recommend-found label").first).to_contain_text(f"Item {turn + 700} of")


def other_length(page: Page, address: str, turn: int) -> None:
    """Ask for so many items that the answer is told from the one before."""
    open_page("recommend?run=run-01")(page, address, turn)
    page.locator("#recommend-k input[type=number]").fill(str(turn + 5))
    page.keyboard.press("Tab")


def recommend(page: Page, turn: int) -> None:
    """Press the button until the list is there."""
    page.locator("#recommend-go").click()
    expect(page.locator("#recommend-list-0 li")).to_have_count(turn + 5)


def change_value(page: Page, turn: int) -> None:
    """Another value in the form until it stands in the text."""
    page.locator("#option-model-width input").fill(str(8 * (turn + 5)))
    expect(page.locator("#train-toml .cm-content")).to_contain_text(f"width = {8 * (turn + 5)}")


def offer_backbone(page: Page, address: str, turn: int) -> None:
    """The page Train with its list of backbones unfolded."""
    open_page("train?draft=bench")(page, address, turn)
    page.locator("#option-model-backbone input").click()


def choose_backbone(page: Page, turn: int) -> None:
    """Another backbone until its own options are there."""
    name, option = (("lstm", "n_layers"), ("gpt", "n_heads"))[turn % 2]
    page.get_by_role("option", name=name, exact=True).click()
    expect(page.locator("#train-toml .cm-content")).to_contain_text(f'name = "{name}"')
    page.locator(f"#option-model-backbone-{option}").wait_for()


def look_at_log(page: Page, address: str, _turn: int) -> None:
    """The page Data with a file that was not examined yet, nothing left over from another turn."""
    page.goto(f"{address}/data?file=uploads/log.csv")
    page.locator("#data-examine").wait_for()


def begin_to_examine(page: Page, _turn: int) -> None:
    """Press the button until something is said."""
    page.locator("#data-examine").click()
    expect(page.locator("#data-busy")).to_contain_text("Examining")


def examine(page: Page, _turn: int) -> None:
    """Press the button until the doctor has said what the data is good for."""
    page.locator("#data-examine").click()
    expect(page.locator("#data-merits")).to_contain_text("Order")


def leave(page: Page, address: str, _turn: int) -> None:
    """Be elsewhere."""
    open_page("plugins")(page, address, 0)


def enter(path: str) -> Callable[[Page, int], None]:
    """Follow the link of another page."""

    def act(page: Page, _turn: int) -> None:
        page.locator(f"nav a[href$='/{path}']").first.click()
        page.wait_for_url(f"**/{path}*", wait_until="commit")
        page.locator("h1").first.wait_for()

    return act


ACTIONS = (
    Action("Runs", "choose another run", offer_run, choose_run),
    Action("Recommend", "search titles", open_page("recommend?run=run-01"), search),
    Action("Recommend", "recommend", other_length, recommend),
    Action("Train", "change a value", open_page("train?draft=bench"), change_value),
    Action("Train", "choose a backbone", offer_backbone, choose_backbone),
    Action("Data", "examine: first sign", look_at_log, begin_to_examine),
    Action("Data", "examine: 100,000 events prepared, split, described", look_at_log, examine),
    Action("Plugins", "go to Runs", leave, enter("runs")),
    Action("Plugins", "go to Compare", leave, enter("compare")),
)


def answers(browser: Browser, address: str, turns: int) -> None:
    """Seconds of each action; the first time loads what the later ones find loaded."""
    print("\n| page | action | first time | then | worst |\n| --- | --- | ---: | ---: | ---: |")
    for action in ACTIONS:
        with tab(browser) as page:
            first, *later = [timed(action, page, address, turn) for turn in range(turns + 1)]
        figures = f"{first:.2f} | {statistics.median(later):.2f} | {max(later):.2f}"
        print(f"| {action.page} | {action.name} | {figures} |", flush=True)


def timed(action: Action, page: Page, address: str, turn: int) -> float:
    """Seconds of one turn."""
    action.ready(page, address, turn)
    page.wait_for_timeout(300)  # what the page still does by itself is over
    began = time.perf_counter()
    action.act(page, turn)
    return time.perf_counter() - began


def load() -> str:
    """Load of the machine."""
    return f"load of the machine {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"


def measure(folder: Path, browser: Browser, turns: int) -> None:
    """Everything, in tables."""
    print(f"{load()}\n")
    began = time.perf_counter()
    with serving(folder) as address:
        said = time.perf_counter() - began
        with tab(browser) as page:
            paint(page, address)
        print(f"start to address {said:.1f} s, to the first page painted {time.perf_counter() - began:.1f} s")
        paints(browser, address, turns)
    with serving(folder) as address:  # anew, so that first times are first times
        print(f"\nnothing trains; {load()}", flush=True)
        answers(browser, address, turns)
    with serving(folder) as address, training(folder):
        print(f"\ntwo jobs train; {load()}", flush=True)
        paints(browser, address, turns)
        answers(browser, address, turns)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--points", type=int, default=1_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="otherwise Playwright's own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name).resolve()
        fill_folder(folder, options.runs, options.points)
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
        measure(folder, browser, options.turns)
        browser.close()


if __name__ == "__main__":
    main()
