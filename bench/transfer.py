"""Pre-training on other shops: Amazon Scientific and Office, from a base of the other one and Games.

    P5_DATA=... python bench/transfer.py FOLDER [--target scientific] [--share 0 --share 0.05] [--seeds 3]

For each target a base is trained on the other shops by their titles (WordLlama), and `p5 transfer` measures it beside
every rival; the experiments are those that `p5 init` writes, with `content` in the blend. FOLDER keeps logs, bases and
figures: a stopped run goes on.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

__all__: list[str] = []

P5 = (sys.executable, "-m", "p5core.cli")

BASE = """
[data]
{games}

[prepare]
keep = "first"
min_user_events = 5
min_item_events = 5

[model]
width = 256
max_length = 32
dropout = 0.3
encoders = [{{ name = "id" }}, {{ name = "text", columns = ["title"], model = "wordllama" }}]
unit_items = true
backbone = {{ name = "filter", n_layers = 2, dropout = 0.3, feedforward = 2.0 }}

[[stages]]
name = "pretrain"
epochs = 4
temperature = 2
optimiser = {{ learning_rate = 1e-3 }}

[[stages.sources]]

[[stages.sources]]
prepare = {{ keep = "first", min_user_events = 3, min_item_events = 1 }}
[stages.sources.data]
{other}

[evaluate]
validation_users = 3000
metrics = ["hr@10", "ndcg@10"]
baselines = ["popularity", "content"]
resamples = 0
"""

RIVALS = (
    'evaluate.baselines=["popularity", "content"]',
    'model.blend=[{name="cooccurrence", content="all", n_neighbours=100}, {name="content"}]',
)


def main() -> None:
    """Write the logs, train the bases and measure them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", action="append", choices=("scientific", "office"), default=[])
    parser.add_argument("--share", action="append", default=[])
    parser.add_argument("--seeds", default="3")
    options = parser.parse_args()
    folder = options.folder.absolute()
    for name, read in (("games", games), ("office", office), ("scientific", scientific)):
        if not (folder / f"{name}.csv").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write(folder, name, *read(Path(os.environ["P5_DATA"])))
    shares = [word for share in options.share for word in ("--share", share)]
    for target in options.target or ("scientific", "office"):
        other = "office" if target == "scientific" else "scientific"
        (folder / f"{target}-base.toml").write_text(BASE.format(games=table("games"), other=table(other)))
        settings = [word for setting in RIVALS for word in ("--set", setting)]
        items = ["--set", f"items={target}-items.csv", "--set", f"domain={target}"]
        p5(folder, "init", f"{target}.csv", *items, "-o", f"{target}.toml")
        if not (folder / f"base-{target}").exists():
            p5(folder, "pretrain", f"{target}-base.toml", f"base-{target}")
        p5(
            folder,
            "transfer",
            f"{target}.toml",
            "--from",
            f"base-{target}",
            "--seeds",
            options.seeds,
            *shares,
            *settings,
        )


def p5(folder: Path, *arguments: str) -> None:
    """Run a command in the folder."""
    subprocess.run([*P5, *arguments], cwd=folder, check=True)


def table(name: str) -> str:
    """The loader of a shop."""
    return f'name = "table"\npath = "{name}.csv"\nitems = "{name}-items.csv"\ndomain = "{name}"'


Shop = tuple[Mapping[str, Sequence[str]], Mapping[str, Mapping[str, Any]]]
"""User → items in order, and item → content."""


def scientific(data: Path) -> Shop:
    """8,317 users of Scientific (the copy of UniSRec's text in LLMRank's form)."""
    folder = data / "amazon-scientific-titles"
    histories = json.loads(gzip.decompress((folder / "Scientific.inter.json.gz").read_bytes()))
    items = json.loads(gzip.decompress((folder / "Scientific.item.json.gz").read_bytes()))
    return {user: [str(item) for item in own] for user, own in histories.items()}, items


def games(data: Path) -> Shop:
    """50,546 users of Games."""
    folder = data / "amazon18-games-llmrank"
    events = gzip.decompress((folder / "Games-6k.test.inter.gz").read_bytes()).decode().splitlines()[1:]
    titles = gzip.decompress((folder / "Games-6k.item.gz").read_bytes()).decode().splitlines()[1:]
    rows = [line.split("\t") for line in events if line.strip()]
    items = dict(line.split("\t") for line in titles if line.strip())
    return {user: [*past.split(), last] for user, past, last in rows}, {item: {"title": items[item]} for item in items}


def office(data: Path) -> Shop:
    """3,231 users of Office: those of the validation and test files, whose histories are whole."""
    folder = data / "amazon18-minionerec"
    histories: dict[str, list[str]] = {}
    for part in ("valid", "test"):
        frame = pd.read_csv(folder / f"Office_Products.{part}.csv.gz")
        for user, past, last in zip(frame["user_id"], frame["history_item_id"], frame["item_id"], strict=True):
            history = [*map(str, ast.literal_eval(past)), str(last)]
            if len(history) > len(histories.get(user, [])):
                histories[user] = history
    items = json.loads((folder / "Office_Products.item.json").read_text())
    plain = {
        item: {name: "|".join(map(str, value)) if isinstance(value, list) else value for name, value in content.items()}
        for item, content in items.items()
    }
    return histories, plain


def write(
    folder: Path, name: str, histories: Mapping[str, Sequence[str]], items: Mapping[str, Mapping[str, Any]]
) -> None:
    """The log and the items table, items under ids in random order: the published ones follow first appearance."""
    ids = [f"i{nth}" for nth in range(len(items))]
    random.Random(0).shuffle(ids)
    renamed = dict(zip(items, ids, strict=True))
    rows = [(f"u{user}", renamed[item], step) for user, own in histories.items() for step, item in enumerate(own)]
    frame = pd.DataFrame([{"item": renamed[item], **content} for item, content in items.items()])
    frame.sort_values("item").to_csv(folder / f"{name}-items.csv", index=False)
    pd.DataFrame(rows, columns=["user", "item", "timestamp"]).to_csv(folder / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
