"""Progress in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from p5core.contracts.tracker import EarlyStopEvent, RunEvent, StageEvent, StepEvent, ValidationEvent
from p5core.system.text import clock

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

    def show(self, event: RunEvent) -> None:
        """Show one event of a run."""
        if isinstance(event, StepEvent):
            self._show_step(event)
        elif isinstance(event, ValidationEvent):
            self._show_validation(event)
        elif isinstance(event, (StageEvent, EarlyStopEvent)):
            self._finish()

    def say(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, highlight=False, markup=False)

    def _show_step(self, event: StepEvent) -> None:
        if not self._console.is_terminal:
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0, figures="")
        self._bar.update(
            self._task,
            completed=event.share,
            description=f"{event.stage} epoch {event.epoch}",
            figures=(
                f"{event.share:4.0%}  loss {event.loss:.4f}  {self._metric}"
                f"{event.events_per_second:,.0f} events/s  {clock(event.eta_seconds)} left"
            ),
        )

    def _show_validation(self, event: ValidationEvent) -> None:
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in event.metrics.items())
        self._metric = f"{metrics}  "
        if not self._console.is_terminal:
            mark = " *" if event.is_best else ""
            loss = f"loss {event.loss:.4f}" if event.epoch else "before training"
            self.say(f"{event.stage} epoch {event.epoch}  {loss}  {metrics}{mark}")

    def _finish(self) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=1.0)
            self._bar.stop()
            self._bar.remove_task(self._task)
        self._task, self._metric = None, ""
