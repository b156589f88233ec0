"""Content on Amazon Scientific: text encoders beside ids and categories, and items that are never trained on.

    P5_DATA=... python bench/content.py [--seeds 3]

prints two tables as Markdown: test figures of cold and of warm targets under the split `item_cold`; and those of each
choice of encoders, leave-one-out. All options but the encoders are those that `p5 init` writes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.numpy import load_file

import p5core
from p5core.evaluation.segments import user_traits
from p5core.fitting.trained_model import load_run_data
from p5core.plugins.discovery import load_plugins
from p5core.runs.run import Run

TITLED = ["title", "brand", "categories"]
ENCODERS: dict[str, list[dict[str, Any]]] = {
    "ids, text (tfidf), categories: the preset": [
        {"name": "text", "columns": TITLED}, {"name": "categories", "columns": ["brand", "categories"]},
    ],
    "ids": [],
    "ids, text (tfidf)": [{"name": "text", "columns": TITLED}],
    "ids, categories": [{"name": "categories", "columns": ["brand", "categories"]}],
    "ids, text (wordllama)": [{"name": "text", "columns": TITLED, "model": "wordllama"}],
}  # fmt: skip
LABELS = ("hr@10", "ndcg@10")


def main() -> None:
    """Run every choice with every seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder)
        command = [sys.executable, "-m", "p5core.cli", "init", "log.csv", "--set", "items=items.csv", "-o", "e.toml"]
        subprocess.run(command, cwd=folder, check=True)
        os.chdir(folder)
        print("| NDCG@10 | cold targets | warm targets |\n| --- | --- | --- |")
        runs = [trained(folder, seed, split={"name": "item_cold"}) for seed in seeds]
        for scorer in ("model", "content", "cooccurrence"):
            halves = [warm_and_cold(run, scorer) for run in runs]
            print(f"| {scorer} | {' | '.join(figure(list(values)) for values in zip(*halves, strict=True))} |")
        print("\n| encoders | HR@10 | NDCG@10 |\n| --- | --- | --- |")
        for label, encoders in ENCODERS.items():
            runs = [trained(folder, seed, encoders=[{"name": "id"}, *encoders]) for seed in seeds]
            values = [[run.metrics().test["model"][metric] for run in runs] for metric in LABELS]
            print(f"| {label} | {' | '.join(map(figure, values))} |", flush=True)


def write_tables(folder: Path) -> None:
    """The log and the items table, items under ids in random order: the published ones follow first appearance."""
    source = Path(os.environ["P5_DATA"]) / "amazon-scientific-titles"
    histories = json.loads(gzip.decompress((source / "Scientific.inter.json.gz").read_bytes()))
    items = json.loads(gzip.decompress((source / "Scientific.item.json.gz").read_bytes()))
    ids = [f"i{nth}" for nth in range(len(items))]
    random.Random(0).shuffle(ids)
    renamed = dict(zip(items, ids, strict=True))
    rows = [(f"u{user}", renamed[str(item)], step) for user, own in histories.items() for step, item in enumerate(own)]
    pd.DataFrame(rows, columns=["user", "item", "timestamp"]).to_csv(folder / "log.csv", index=False)
    frame = pd.DataFrame([{"item": renamed[item], **content} for item, content in items.items()])
    frame.sort_values("item").to_csv(folder / "items.csv", index=False)


def trained(folder: Path, seed: int, encoders: list[dict[str, Any]] | None = None, **sections: Any) -> Run:
    """The preset with other encoders or another split."""
    settings = [f"seed={seed}", 'evaluate.baselines=["popularity","content","cooccurrence"]']
    if encoders is not None:
        settings.append(f"model.encoders=[{', '.join(table(encoder) for encoder in encoders)}]")
    settings += [f"{name}={table(values)}" for name, values in sections.items()]
    return p5core.run(p5core.load_experiment(folder / "e.toml", settings), folder / "runs")


def table(options: dict[str, Any]) -> str:
    """Options as an inline table of TOML."""
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items()) + " }"


def warm_and_cold(run: Run, scorer: str) -> tuple[float, float]:
    """NDCG@10 of users with cold targets, and of the others."""
    target = load_run_data(run, load_plugins()).target
    is_cold = user_traits(target.split, target.dataset).is_cold
    values = load_file(run.path / "per_user.safetensors")[f"{scorer}/ndcg@10"]
    return float(values[is_cold].mean()), float(values[~is_cold].mean())


def figure(values: list[float]) -> str:
    """Mean and standard deviation over the seeds."""
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values) if len(values) > 1 else 0:.4f}"


if __name__ == "__main__":
    main()
