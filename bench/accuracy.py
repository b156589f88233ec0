"""Accuracy of experiments over seeds, beside their baselines and published rows.

    python bench/accuracy.py examples/amazon-beauty.toml examples/lastfm.toml --seeds 0 1 2 --output docs/benchmarks.md

Each experiment runs once a seed, as `p5 run` in a process of its own, so that its peak memory is known; a finished run
in --runs is taken as it is. A figure is the mean over seeds of a mean over test users; its 95 % interval is a
bootstrap over users of their means over seeds, and ± is the standard deviation between seeds. Choices within a run are
made on validation events; ties count half, targets that no training event knows count as misses, and no part reads the
numbers of items as anything but names.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from p5core.evaluation.intervals import interval, resampled_sums
from p5core.runs.run import Run
from p5core.system.files import read_json, write_json, write_text

__all__: list[str] = []

LABELS = ("hr@5", "hr@10", "ndcg@5", "ndcg@10")
SCORERS = ("model", "cooccurrence", "popularity")

PUBLISHED = {
    "amazon-beauty": (
        ("GRU4Rec, BERT4Rec (S3-Rec's table, arXiv 2008.07873)", ".0283, .0347", ".0137, .0170"),
        ("SASRec, binary cross-entropy (S3-Rec's table)", ".0605", ".0318"),
        ("S3-Rec (arXiv 2008.07873)", ".0647", ".0327"),
        ("TIGER (arXiv 2305.05065)", ".0648", ".0384"),
        ("SASRec, full cross-entropy", ".0851", ".0421"),
        ("eSASRec (arXiv 2508.06450)", ".0928", ".0523"),
        ("BSARec (arXiv 2312.10325), its own log; an independent rerun", ".1008; .0985", ".0611; .0599"),
    ),
    "lastfm": (("BSARec (arXiv 2312.10325)", ".0807", ""),),
    "movielens-1m-gapless": (
        ("BERT4Rec, on the whole log (arXiv 2309.07602)", ".2843", ".1537"),
        ("eSASRec, on the whole log (arXiv 2508.06450)", ".3133", ".1772"),
        ("SASRec, full cross-entropy, on the whole log (arXiv 2309.07602)", ".3152", ".1821"),
        ("SASRec, 3,000 negatives, on the whole log (arXiv 2309.07602)", ".3159", ".1857"),
        ("HSTU-large, on the whole log, without validation (arXiv 2402.17152)", ".3294", ".1893"),
    ),
}
"""Experiment → rows of (model, HR@10, NDCG@10), same split and ranking, on the same copy where no other is named."""


@dataclass(frozen=True)
class Seed:
    """One finished run."""

    run: Run
    gigabytes: float
    """peak resident memory"""


def finished(file: Path, seed: int, runs: Path, settings: list[str]) -> Seed:
    """Run an experiment with a seed, unless it was done before."""
    name = f"{file.stem}-{seed}"
    usage = runs / f"{name}.usage.json"
    if not usage.exists():
        command = [sys.executable, "-m", "p5core.cli", "run", str(file), "--runs", str(runs), "--name", name]
        for setting in (*settings, f"seed={seed}"):
            command += ["--set", setting]
        process = subprocess.Popen(command)
        _, status, spent = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}.")
        unit = 1 if sys.platform == "darwin" else 1024
        write_json(usage, {"peak": spent.ru_maxrss * unit, "cpu": spent.ru_utime + spent.ru_stime})
    return Seed(Run(runs / name), read_json(usage)["peak"] / 2**30)


def values(seeds: list[Seed], scorer: str, label: str) -> NDArray[np.float64]:
    """(S, U) the figure of each test user in each run."""
    return np.stack([load_file(seed.run.path / "per_user.safetensors")[f"{scorer}/{label}"] for seed in seeds])


def cell(seeds: list[Seed], scorer: str, label: str) -> str:
    """Mean, interval over users, deviation between seeds."""
    per_user = values(seeds, scorer, label)
    users = per_user.mean(axis=0)
    low, high = interval(resampled_sums(users[:, None], 1000, 0)[:, 0] / len(users))
    spread = f" ± {per_user.mean(axis=1).std(ddof=1):.4f}" if len(seeds) > 1 and scorer == "model" else ""
    return f"{per_user.mean():.4f}{spread} ({low:.4f} to {high:.4f})"


def section(file: Path, seeds: list[Seed]) -> str:
    """The table of one experiment."""
    metrics = [seed.run.metrics() for seed in seeds]
    minutes = [metric.train_seconds / 60 for metric in metrics]
    lines = [
        f"## {file.stem}",
        "",
        f"{metrics[0].n_test_users:,} test users, {len(seeds)} seeds, {metrics[0].n_parameters:,} weights; "
        f"training with validation {min(minutes):.1f} to {max(minutes):.1f} min, at most "
        f"{max(seed.gigabytes for seed in seeds):.1f} GB. {metrics[0].protocol}",
        "",
        f"| | {' | '.join(LABELS)} |",
        f"| --- |{' --- |' * len(LABELS)}",
    ]
    lines += [f"| {scorer} | {' | '.join(cell(seeds, scorer, label) for label in LABELS)} |" for scorer in SCORERS]
    lines += [f"| {name} | | {hits} | | {gain} |" for name, hits, gain in PUBLISHED.get(file.stem, ())]
    return "\n".join(lines)


def main() -> None:
    """Run what was asked for and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--set", dest="settings", action="append", default=[], help="override an option of each file")
    parser.add_argument("--output", type=Path, help="Markdown file; the terminal otherwise")
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    done = {
        file: [finished(file, seed, given.runs, given.settings) for seed in given.seeds] for file in given.experiments
    }
    tables = [section(file, seeds) for file, seeds in done.items()]
    head = (
        f"<!-- python {' '.join(sys.argv)} -->\n\n{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; {(time.perf_counter() - began) / 60:.0f} min in all.\n\n"
    )
    text = head + "\n\n".join(tables) + "\n"
    if given.output:
        write_text(given.output, text)
    print(text)


if __name__ == "__main__":
    main()
