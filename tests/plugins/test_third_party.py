"""Eight plugins of a third party, as wheels beside P5's wheel in an environment of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from p5core.testing.world import toy_world

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent for path in (ROOT / "tests" / "third_party").glob("*/pyproject.toml"))
TRAINING_ONLY = ("p5-shop", "p5-figures", "p5-hinge", "p5-contrast", "p5-notebook", "p5-peek")
"""Distributions whose parts a trained run does not need to serve."""

EXPERIMENT = """
[data]
name = "clickstream"
path = "events.csv"
items = "titles.csv"

[prepare]
min_user_events = 1
min_item_events = 1
keep = "all"
fields = ["event"]

[model]
width = 8
max_length = 10
backbone = { name = "tcn", n_layers = 2 }
encoders = [{ name = "id" }, { name = "words", size = 16 }, { name = "vector_file", path = "vectors.csv" }]

[[stages]]
name = "pretrain"
tasks = [{ name = "contrast", temperature = 0.3 }]
epochs = 2

[[stages]]
name = "finetune"
tasks = [{ name = "next_item", loss = { name = "hinge", n_negatives = 4 } }]
epochs = 3
watch = "loss"

[evaluate]
metrics = ["ndcg@10", "loss", "tail_share@5,head=0.2", { name = "tail_share", length = 3 }]
resamples = 20

[[trackers]]
name = "notebook"
"""

ANSWER = """
import json, sys
from p5core import Recommender
recommender = Recommender.load(sys.argv[1])
print(json.dumps([[one.item, round(one.score, 5)] for one in recommender.recommend(["i3", "i4"], k=6)]))
"""

KIT = """
import sys
from p5core import load_plugins
from p5core.testing import check_part
kind, name, options = sys.argv[1], sys.argv[2], dict(one.split("=") for one in sys.argv[3:])
check_part(load_plugins(), kind, name, options)
"""

EIGHT = ("tcn", "clickstream", "loss", "tail_share", "hinge", "contrast", "vector_file", "words", "notebook")


class Environment:
    """A virtual environment and a folder to work in; other packages than P5's are those of this interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        wheels = folder / "wheels"
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels]
        self._done(sys.executable, "-m", "pip", "wheel", *options, ROOT, *PACKAGES)
        self._done(sys.executable, "-m", "venv", folder / "venv")
        site = self._done(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (Path(site) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self._done(self.python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *wheels.glob("*.whl"))

    def _done(self, *command: object, **environment: str) -> str:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        found = subprocess.run(
            [str(one) for one in command],
            cwd=self.folder,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    def run(self, *arguments: object, **environment: str) -> str:
        """Run the interpreter."""
        return self._done(self.python, *arguments, **environment)

    def p5(self, *arguments: object) -> str:
        """Run the command."""
        return self.run("-m", "p5core.cli", *arguments)

    def answer(self, name: str, **environment: str) -> list[list[object]]:
        """What a run recommends, in a process of its own."""
        found: list[list[object]] = json.loads(self.run("-c", ANSWER, f"runs/{name}", **environment))
        return found


def write_data(folder: Path) -> None:
    draw = random.Random(0)
    rows, now = ["visitorid,itemid,event,timestamp"], 1_700_000_000_000
    for user in range(60):
        start = draw.randrange(30)
        for step in range(draw.randrange(4, 12)):
            now += 60_000
            rows.append(f"u{user},i{(start + step) % 30},{draw.choice(('view', 'addtocart'))},{now}")
    (folder / "events.csv").write_text("\n".join(rows) + "\n")
    titles = [f"i{item},Thing {item % 5} of {item % 3}" for item in range(30)]
    (folder / "titles.csv").write_text("itemid,title\n" + "\n".join(titles) + "\n")
    known = [*(f"i{item}" for item in range(30)), *toy_world().catalogue.frame["item"].astype("str")]
    vectors = [f"{item}," + ",".join(f"{draw.gauss(0, 1):.3f}" for _ in range(4)) for item in known]
    (folder / "vectors.csv").write_text("\n".join(vectors) + "\n")
    (folder / "experiment.toml").write_text(EXPERIMENT)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("third-party")
    write_data(folder)
    return Environment(folder)


def test_parts_of_wheels_are_trained_resumed_evaluated_exported_and_verified(environment: Environment) -> None:
    folder, p5 = environment.folder, environment.p5
    found = json.loads(p5("plugins", "list", "--json"))
    assert [one["name"] for one in found["plugins"] if one["state"] != "ok"] == []
    assert {one["name"] for one in found["parts"]} >= set(EIGHT)

    p5("run", "experiment.toml", "--name", "whole")
    stop_and_resume(environment)
    weights = [(folder / "runs" / name / "weights.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]
    names = environment.run(
        "-c", "import sys; from safetensors import safe_open; print(*safe_open(sys.argv[1], 'np').keys())",
        "runs/whole/weights.safetensors",
    )  # fmt: skip
    assert {"tasks.contrast.0.weight", "items.encoders.1.linear.weight", "backbone.layers.0.weight"} <= set(
        names.split()
    )

    metrics = json.loads((folder / "runs" / "whole" / "metrics.json").read_text())
    labels = ["ndcg@10", "loss", "tail_share@5,head=0.2", "tail_share@3"]
    assert list(metrics["test"]["model"]) == labels
    alone = p5("evaluate", "runs/whole", "--metric", "tail_share@5,head=0.2")
    assert f"{metrics['test']['model']['tail_share@5,head=0.2']:.4f}" in alone
    validations = (folder / "runs" / "whole" / "notebook.txt").read_text().splitlines()
    assert sum(line.startswith("finetune") for line in validations) == 4  # the start, and three epochs
    assert all("loss 0." in line for line in validations if line.startswith("finetune"))
    listed = p5("peek", "runs/whole").splitlines()
    assert {"backbone tcn p5-tcn 1.2.3", "loss hinge p5-hinge 1.2.3", "loader clickstream p5-shop 1.2.3"} <= set(listed)
    p5("export", "runs/whole")
    p5("verify", "runs/whole/export")


def stop_and_resume(environment: Environment) -> None:
    """Stop a run by a file once its first epochs are over, and go on with it."""
    folder = environment.folder
    command = [environment.python, "-m", "p5core.cli", "run", "experiment.toml", "--name", "stopped"]
    longer = ["--set", "stages.1.epochs=3"]
    with subprocess.Popen([*map(str, command), *longer], cwd=folder, stdout=subprocess.DEVNULL) as process:
        path = folder / "runs" / "stopped"
        while process.poll() is None and not path.exists():
            time.sleep(0.005)
        (path / "stop").touch()
    if process.returncode:  # a quick machine may have been done before
        environment.p5("run", "experiment.toml", "--name", "stopped", "--resume")


def test_a_stored_run_answers_the_same_when_files_and_training_parts_are_gone(environment: Environment) -> None:
    before = environment.answer("whole", PYTHONHASHSEED="1")
    (environment.folder / "vectors.csv").write_text("i3,9,9,9,9\n")
    assert environment.answer("whole", PYTHONHASHSEED="2") == before
    for name in ("events.csv", "titles.csv", "vectors.csv"):
        (environment.folder / name).unlink()
    assert environment.answer("whole") == before
    environment.run("-m", "pip", "uninstall", "--quiet", "--yes", *TRAINING_ONLY)
    assert environment.answer("whole") == before
    said = environment.p5("evaluate", "runs/whole")
    assert "tail_share" in said
    assert "ndcg@10" in said


@pytest.mark.parametrize(
    "part",
    [
        ("backbone", "tcn"), ("task", "contrast"), ("loss", "hinge"), ("metric", "loss"), ("metric", "tail_share"),
        ("encoder", "words"), ("tracker", "notebook"), ("loader", "clickstream", "path=events.csv"),
        ("encoder", "vector_file", "path=vectors.csv"),
    ],
    ids=lambda part: part[1],
)  # fmt: skip
def test_the_kit_passes_them(environment: Environment, part: tuple[str, ...]) -> None:
    write_data(environment.folder)
    wheels = environment.folder.glob("wheels/*.whl")
    environment.run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *wheels)
    environment.run("-c", KIT, *part)
