"""The results of a search as files and as a table."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from p5core.config.base import Choices
from p5core.config.document import dump_experiment, with_values
from p5core.fitting.search_space import Option, short_names
from p5core.system.files import write_bytes, write_text
from p5core.system.text import shown_value
from p5core.tuning.study import Study, position
from p5core.tuning.worker import Worker

__all__ = ["trials_table", "write_report"]

TRIALS_IN_TABLE = 3


def write_report(folder: Path, worker: Worker, study: Study) -> None:
    """Write `trials.csv` and, once a trial is complete, `best.toml` and plots."""
    write_text(folder / "trials.csv", _csv(study))
    best = study.best_first()
    if not best:
        return
    about = f"# {worker.watch.label} {best[0].value:.4f} on validation events: trial {position(best[0])}.\n\n"
    write_text(folder / "best.toml", about + dump_experiment(with_values(worker.experiment, best[0].params)))
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    names = short_names([option.key for option in study.options])
    _save(_history(study, worker.watch.label), plots / "history.png")
    for option in study.options:
        _save(_slice(study, option, worker.watch.label), plots / f"{names[option.key]}.png")


def trials_table(study: Study, label: str) -> Table:
    """The best trials beside the experiment's own options, one row an option."""
    best = study.best_first()
    shown = best[:TRIALS_IN_TABLE] + [trial for trial in best[TRIALS_IN_TABLE:] if position(trial) == 0]
    importances = study.importances()
    names = short_names([option.key for option in study.options])
    table = Table(title=f"Best of {len(study.ended())} trials; trial 0 is the file as it is")
    table.add_column("", no_wrap=True)
    for trial in shown:
        table.add_column(f"trial {position(trial)}", justify="right")
    table.add_column("importance", justify="right")
    table.add_row(label, *(f"{option.value:.4f}" for option in shown), "", style="bold")
    for key in sorted(names, key=lambda name: -importances.get(name, 0.0)):
        share = f"{importances[key]:.0%}" if key in importances else "–"
        table.add_row(names[key], *(shown_value(option.params[key]) for option in shown), share)
    return table


def _csv(study: Study) -> str:
    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    keys = [option.key for option in study.options]
    rows.writerow(["trial", "state", "value", "seconds", "epochs", "reason", *keys])
    for trial in study.ended():
        seconds = f"{trial.duration.total_seconds():.1f}" if trial.duration else ""
        reason = trial.user_attrs.get("reason", "its process ended") if trial.state == TrialState.FAIL else ""
        fields = [position(trial), trial.state.name.lower(), trial.value, seconds, trial.last_step, reason]
        rows.writerow([*fields, *(trial.params.get(key) for key in keys)])
    return text.getvalue()


def _history(study: Study, label: str) -> Figure:
    figure = Figure(layout="constrained")
    axes = figure.add_subplot(xlabel="trial", ylabel=f"{label} on validation events")
    trials = [trial for trial in study.ended() if trial.value is not None]
    _scatter(axes, trials, [position(trial) for trial in trials])
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    better = max if study.higher_is_better else min
    best = [better(trial.value or 0.0 for trial in complete[: nth + 1]) for nth in range(len(complete))]
    axes.step([position(trial) for trial in complete], best, where="post", label="best so far")
    axes.legend()
    return figure


def _slice(study: Study, option: Option, label: str) -> Figure:
    figure = Figure(layout="constrained")
    axes = figure.add_subplot(xlabel=option.key, ylabel=f"{label} on validation events")
    trials = [trial for trial in study.ended() if trial.value is not None and option.key in trial.params]
    values = [trial.params[option.key] for trial in trials]
    if isinstance(option.range, Choices):
        ordered = sorted(option.range.values, key=lambda one: (isinstance(one, str), one))
        axes.set_xticks(range(len(ordered)), [str(suffix) for suffix in ordered])
        values = [ordered.index(value) for value in values]
    elif option.is_log:
        axes.set_xscale("log")
    _scatter(axes, trials, values)
    axes.legend()
    return figure


def _scatter(axes: Axes, trials: list[FrozenTrial], places: list[float]) -> None:
    for state, marker, name in ((TrialState.COMPLETE, "o", "complete"), (TrialState.PRUNED, "x", "pruned")):
        chosen = [(place, trial.value) for place, trial in zip(places, trials, strict=True) if trial.state == state]
        if chosen:
            axes.scatter(*zip(*chosen, strict=True), marker=marker, label=name)


def _save(figure: Figure, path: Path) -> None:
    content = BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_bytes(path, content.getvalue())
