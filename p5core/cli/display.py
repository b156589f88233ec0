"""Progress in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

__all__ = ["Terminal"]


class Terminal:
    """A progress bar a stage on a terminal; one line a validation where output goes to a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._metric = ""
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[figures]}"), console=console
        )

    def show(self, kind: str, figures: dict[str, Any]) -> None:
        """Show one event of a run."""
        if kind == "step":
            self._show_step(figures)
        elif kind == "validation":
            self._show_validation(figures)
        elif kind in ("stage", "early_stop"):
            self._finish()

    def say(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, highlight=False, markup=False)

    def _show_step(self, figures: dict[str, Any]) -> None:
        if not self._console.is_terminal:
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0, figures="")
        self._bar.update(
            self._task,
            completed=figures["share"],
            description=f"{figures['stage']} epoch {figures['epoch']}",
            figures=(
                f"{figures['share']:4.0%}  loss {figures['loss']:.4f}  {self._metric}"
                f"{figures['events_per_second']:,.0f} events/s  {_duration(figures['eta_seconds'])} left"
            ),
        )

    def _show_validation(self, figures: dict[str, Any]) -> None:
        known = ("stage", "epoch", "step", "loss", "best", "share")
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in figures.items() if name not in known)
        self._metric = f"{metrics}  "
        if not self._console.is_terminal:
            mark = " *" if figures["best"] else ""
            self.say(f"{figures['stage']} epoch {figures['epoch']}  loss {figures['loss']:.4f}  {metrics}{mark}")

    def _finish(self) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=1.0)
            self._bar.stop()
            self._bar.remove_task(self._task)
        self._task, self._metric = None, ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
