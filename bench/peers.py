"""P5 beside other libraries on one data set, one split and one metric code, in one run.

    python bench/peers.py examples/amazon-beauty.toml --minutes 30 [--output docs/peers.md]

RecTools 0.19 (SASRec with softmax loss, its defaults, histories of 50) and implicit get environments of their own in
--environments. They get the training events and return lists of ten items, which the same evaluator measures as P5's
scores. P5 runs the experiment as `p5 run` does, but with a validation after each epoch, at the same time as RecTools;
each has --threads threads. Compared is the training time after which validation NDCG@10 first is what RecTools has at
its end; of P5 that of the network alone and, since its co-occurrence scorer needs no training, the time of counting.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from p5core.config.base import PartSpec
from p5core.config.document import load_experiment
from p5core.contracts.scorer import HistoryScorer
from p5core.data.dataset import Events, Ragged
from p5core.evaluation.evaluator import Evaluator
from p5core.fitting.evaluate import make_evaluator
from p5core.fitting.experiment_data import ExperimentData, gather
from p5core.plugins.discovery import load_plugins
from p5core.runs.run import Run
from p5core.system.files import write_text

__all__: list[str] = []

REQUIREMENTS = {"rectools": ["rectools[torch]==0.19.*", "torch==2.13.0", "implicit"]}
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Lists:
    """Ten items of each user as a scorer: the first scores highest, what is not listed nothing."""

    items: npt.NDArray[np.int64]
    n_items: int

    def scores(self, users: npt.NDArray[np.int32], histories: Ragged) -> Tensor:
        """(B, V)"""
        matrix = torch.zeros(len(users), self.n_items + 1)
        lists = torch.from_numpy(self.items[users].astype(np.int64))
        places = torch.where(lists < 0, self.n_items, lists)
        matrix.scatter_(1, places, torch.arange(10, 0, -1.0).expand(len(users), 10))
        return matrix[:, :-1]

    def predict(self, field: str, users: npt.NDArray[np.int32], histories: Ragged, targets: Ragged) -> None:
        """Nothing is predicted."""


def environment(folder: Path) -> Path:
    """The Python of the peers' environment, made when it is not there."""
    python = folder / "rectools" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *REQUIREMENTS["rectools"]], check=True)
    return python


def started(command: Sequence[str], threads: int) -> subprocess.Popen[bytes]:
    """Run a command that computes with so many threads."""
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": str(threads)})


def peak_of(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process and return its peak memory in bytes."""
    _, status, spent = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"{process.args!r} ended with {process.returncode}.")
    return float(spent.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def pairs(events: Events) -> npt.NDArray[np.int64]:
    """(N, 2) user and item in order of time within a user."""
    return np.stack([events.users, events.items], axis=1).astype(np.int64)


def row(name: str, evaluator: Evaluator, scorer: HistoryScorer, statistics: str) -> str:
    """A line of the table."""
    figures = evaluator.values(scorer)
    return f"| {name} | {figures['hr@10']:.4f} | {figures['ndcg@10']:.4f} | {statistics} |"


@dataclass(frozen=True, eq=False)
class Contest:
    """The data and the evaluators of both holdouts."""

    data: ExperimentData
    evaluators: dict[str, Evaluator]

    @property
    def n_items(self) -> int:
        """V."""
        return self.data.target.dataset.n_items

    def write_events(self, file: Path) -> None:
        """Write training and validation events for the peers."""
        split = self.data.target.split
        held = split.validation
        validation = np.stack([held.users[held.targets.rows], held.targets.values], axis=1).astype(np.int64)
        sizes = {"n_users": split.train.n_users, "n_items": self.n_items}
        np.savez(file, train=pairs(split.train), validation=validation, **sizes)


@dataclass(frozen=True, eq=False)
class Outcome:
    """The results of all processes."""

    run: Run
    p5_peak: float
    sasrec: np.lib.npyio.NpzFile
    sasrec_peak: float
    others: np.lib.npyio.NpzFile


def main() -> None:
    """Run RecTools and P5 side by side, then the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds of training between RecTools' validations")
    parser.add_argument("--environments", type=Path, default=Path("runs/peers"))
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="of each of the two")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    registry = load_plugins()
    data = gather(load_experiment(given.experiment), registry)
    evaluators = {
        part: make_evaluator(
            data.experiment, registry, data.target, ["hr@10", "ndcg@10"], getattr(data.target.split, part)
        )
        for part in ("validation", "test")
    }
    contest = Contest(data, evaluators)
    with tempfile.TemporaryDirectory() as name:
        text = report(contest, compete(contest, given, Path(name)))
    print(text)
    if given.output:
        write_text(given.output, text)


def compete(contest: Contest, given: argparse.Namespace, folder: Path) -> Outcome:
    """Train P5 and SASRec at the same time, and the other models after P5."""
    events, sasrec, others = (folder / f"{name}.npz" for name in ("events", "sasrec", "others"))
    contest.write_events(events)
    python = str(environment(given.environments))
    arguments = [str(events), str(sasrec), str(given.minutes), str(given.every)]
    peer = started([python, str(HERE / "peers_rectools.py"), *arguments], given.threads)
    command = [
        "run",
        str(given.experiment),
        "--runs",
        str(folder),
        "--name",
        "p5",
        "--set",
        "stages.0.validate_every=1",
    ]
    p5_peak = peak_of(started([sys.executable, "-m", "p5core.cli", *command], given.threads))
    peak_of(started([python, str(HERE / "peers_implicit.py"), str(events), str(others)], given.threads))
    peer_peak = peak_of(peer)
    return Outcome(Run(folder / "p5"), p5_peak, np.load(sasrec), peer_peak, np.load(others))


def report(contest: Contest, outcome: Outcome) -> str:
    """The tables of test metrics and of RecTools' validation curve."""
    began = time.perf_counter()
    scorer = load_plugins().choose("scorer", PartSpec(name="cooccurrence")).build()
    scorer.fit(contest.data.target.split.train, contest.data.target.dataset.catalogue)
    counted = time.perf_counter() - began
    lines = [*model_rows(contest, outcome, scorer, counted), "", *curve_rows(contest, outcome, scorer, counted)]
    return "\n".join(lines) + "\n"


def model_rows(contest: Contest, outcome: Outcome, scorer: HistoryScorer, counted: float) -> list[str]:
    """One row a model: test metrics, time and peak memory."""
    metrics, sasrec, evaluator = outcome.run.metrics(), outcome.sasrec, contest.evaluators["test"]
    spent = f"{sasrec['seconds'][-1]:.0f} s, {int(sasrec['epochs'])} epochs | {outcome.sasrec_peak / 2**30:.1f} GB"
    others = [
        row(name, evaluator, Lists(outcome.others[f"{name}/lists"], contest.n_items), f"{seconds:.1f} s | ")
        for name in sorted({key.split("/")[0] for key in outcome.others})
        for seconds in [float(outcome.others[f"{name}/seconds"])]
    ]
    return [
        "| test | HR@10 | NDCG@10 | training | peak memory |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| P5 | {metrics.test['model']['hr@10']:.4f} | {metrics.test['model']['ndcg@10']:.4f} | "
        f"{metrics.train_seconds:.0f} s | {outcome.p5_peak / 2**30:.1f} GB |",
        row("P5: co-occurrence scorer alone", evaluator, scorer, f"{counted:.1f} s | |")[:-2],
        row("RecTools: SASRec, softmax", evaluator, Lists(sasrec["test"], contest.n_items), spent),
        *others,
    ]


def curve_rows(contest: Contest, outcome: Outcome, scorer: HistoryScorer, counted: float) -> list[str]:
    """Validation metrics of RecTools over time, and the time at which P5 reached each."""
    sasrec, evaluator = outcome.sasrec, contest.evaluators["validation"]
    curve = [evaluator.values(Lists(items, contest.n_items))["ndcg@10"] for items in sasrec["lists"]]
    last, per_epoch = sasrec["seconds"][-1], sasrec["seconds"][-1] / int(sasrec["epochs"])
    alone = evaluator.values(scorer)["ndcg@10"]
    return [
        f"Validation NDCG@10 of RecTools after {last:.0f} s of training: {curve[-1]:.4f} "
        f"({per_epoch:.1f} s an epoch, {np.mean(sasrec['answering']):.1f} s to recommend).",
        f"P5's co-occurrence scorer has {alone:.4f} after {counted:.1f} s, {last / counted:.0f} times less.",
        "",
        "| RecTools, seconds of training | validation NDCG@10 | P5's network is there after |",
        "| ---: | ---: | --- |",
        *(
            f"| {second:.0f} | {value:.4f} | {reached(outcome.run, value)} |"
            for second, value in zip(sasrec["seconds"], curve, strict=True)
        ),
    ]


def reached(run: Run, goal: float) -> str:
    """Seconds until the validation metric first reached `goal`, time of the validations included."""
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    first = np.datetime64(events[0]["time"][:-6])
    for event in events:
        if event["kind"] == "validation" and event["metrics"]["ndcg@10"] >= goal:
            seconds = (np.datetime64(event["time"][:-6]) - first) / np.timedelta64(1, "s")
            return f"{seconds:.0f} s, {event['epoch']} epochs (validation NDCG@10 {event['metrics']['ndcg@10']:.4f})"
    return "no validation of this run"


if __name__ == "__main__":
    main()
