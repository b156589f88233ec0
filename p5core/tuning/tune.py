"""A search from beginning to end, in one process or several.

runs/NAME-tune/
  experiment.toml   what is tuned, every option spelt out
  space.json        the options and their ranges
  journal.log       all trials: records of Optuna, each with a hash
  lock, process.json  held by the process that searches
  trials/           checkpoints of trials that are under way
  trials.csv        one row a trial
  best.toml         the experiment with the options of the best trial
  plots/            history, and one slice an option
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from p5core.config.document import dump_experiment
from p5core.errors import ConfigError
from p5core.fitting.search_space import short_names
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry
from p5core.runs.lock import alone_in
from p5core.system.files import read_json, write_json, write_text
from p5core.system.folders import remove_leftovers
from p5core.system.signals import STOPPING, handled
from p5core.tuning.report import write_report
from p5core.tuning.study import Study
from p5core.tuning.worker import Plan, Worker

__all__ = ["help_out", "tune"]

SECONDS_TO_STOP = 30.0


def tune(plan: Plan, registry: Registry, say: Callable[[str], None] = print) -> tuple[Worker, Study]:
    """Run trials until the plan's folder holds as many as planned, and write down what was found.

    Raises P5Error before anything is written; KeyboardInterrupt after writing when it was asked to stop.
    """
    worker = Worker(plan, registry)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with alone_in(plan.folder):
        remove_leftovers(plan.folder / "plots")
        return worker, _search(plan, worker, say)


def _search(plan: Plan, worker: Worker, say: Callable[[str], None]) -> Study:
    _open_folder(plan, worker)
    study = worker.study()
    study.begin()
    _remove_temporary(plan.folder, study)
    names = ", ".join(short_names([option.key for option in worker.options]).values())
    say(f"By {worker.watch.label} on validation events, {len(study.ended())} of {plan.n_trials} trials done: {names}")
    try:
        with _one_stop(), _helpers(plan), _threads(plan.n_processes):
            worker.work(say)
        worker.work(say)  # a helper that was killed has left its trial open
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Saved in {plan.folder}; the same command goes on.") from None
    finally:
        _remove_temporary(plan.folder, study)
        write_report(plan.folder, worker, study)
    return study


def _remove_temporary(folder: Path, study: Study) -> None:
    """Remove checkpoints and features, unless a process works with them; one that was killed leaves them behind."""
    if not study.n_running():
        for name in ("trials", "features"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _open_folder(plan: Plan, worker: Worker) -> None:
    """Make the folder, or check that it holds the same search; raises ConfigError."""
    text = dump_experiment(worker.experiment)
    space = {option.key: option.to_dict() for option in worker.options}
    kept, space_kept = plan.folder / "experiment.toml", plan.folder / "space.json"
    if not kept.exists():
        write_json(space_kept, space)
        write_text(kept, text)
    if kept.read_bytes() != text.encode() or _stored(space_kept) != space:
        raise ConfigError(
            f"{plan.folder} holds the search of another experiment or of other options, or its files {kept.name} and "
            f"{space_kept.name} were damaged. "
            "Go on with the same file, --set and --only, or choose another --name."
        )


def _stored(path: Path) -> Any:
    """The stored options; None when the file is damaged."""
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError):
        return None


@contextmanager
def _one_stop() -> Iterator[None]:
    """Turn the first signal to stop into KeyboardInterrupt and ignore the next: what was found is being saved."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with handled(stop):
        yield


@contextmanager
def _threads(n_processes: int) -> Iterator[None]:
    """Share the cores among processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // n_processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _helpers(plan: Plan) -> Iterator[None]:
    """Start other processes that run trials; they stop with this one."""
    context = multiprocessing.get_context("spawn")
    helpers = [context.Process(target=help_out, args=(plan,)) for _ in range(plan.n_processes - 1)]
    for helper in helpers:
        helper.start()
    try:
        yield
    except BaseException:
        for helper in helpers:
            helper.terminate()
        for helper in helpers:
            helper.join(SECONDS_TO_STOP)
            helper.kill()
        raise
    finally:
        for helper in helpers:
            helper.join()


def help_out(plan: Plan) -> None:
    """Run trials of a plan beside the process that began it."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt), _one_stop(), _threads(plan.n_processes):
        Worker(plan, load_plugins()).work(partial(print, flush=True))


def _stop_with_parent() -> None:
    """Ask this process to stop when the one that started it has ended, be it killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
