"""Two processes train one run, each on its share of the batches: one writes, a stop is decided for both."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

EXPERIMENT = """
device = "cpu"
precision = "32-true"

[data]
name = "synthetic"
n_users = 80
n_items = 40
n_events = 1500
n_clusters = 8

[model]
width = 8
max_length = 12
backbone = { name = "gpt", n_layers = 1 }
blend = [{ name = "cooccurrence" }]

[[stages]]
epochs = 4
token_budget = 128

[evaluate]
resamples = 10
"""

TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "p5core.cli", "run", "small.toml"]


def together(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start both processes of a run."""
    return subprocess.Popen(
        [sys.executable, *TWO, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    (folder / "small.toml").write_text(EXPERIMENT)
    with together(folder, "--name", "whole") as process:
        said = process.communicate()[0]
    assert process.returncode == 0, said
    return folder


def test_one_of_two_processes_writes_the_run(folder: Path) -> None:
    run = folder / "runs" / "whole"
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [one["epoch"] for one in events if one["kind"] == "validation"] == [1, 2, 3, 4]
    assert json.loads((run / "status.json").read_text())["state"] == "done"
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["model"]["ndcg@10"] > metrics["test"]["popularity"]["ndcg@10"] > 0
    steps = [one["step"] for one in events if one["kind"] == "validation"]
    with subprocess.Popen(
        [sys.executable, "-m", "p5core.cli", "run", "small.toml", "--name", "alone"], cwd=folder
    ) as process:
        pass
    assert process.returncode == 0
    alone = [json.loads(line) for line in (folder / "runs" / "alone" / "events.jsonl").read_text().splitlines()]
    whole = [one["step"] for one in alone if one["kind"] == "validation"]
    assert steps[0] == -(-whole[0] // 2), "each process takes half of the batches"


def test_a_stopped_run_goes_on_in_both(folder: Path) -> None:
    run = folder / "runs" / "stopped"
    with together(folder, "--name", "stopped") as process:
        while process.poll() is None and not run.exists():
            time.sleep(0.005)
        (run / "stop").touch()
        said = process.communicate()[0]
    assert process.returncode != 0, said
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"
    with together(folder, "--name", "stopped", "--resume") as process:
        said = process.communicate()[0]
    assert process.returncode == 0, said
    first, second = (load_file(folder / "runs" / name / "weights.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(first[name], second[name]) for name in first)
