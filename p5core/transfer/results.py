"""The figures of transfer as a table, a picture and a file of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from p5core.config.experiment import Experiment
from p5core.contracts.metric import Metric
from p5core.evaluation.metric_results import choose_metrics
from p5core.evaluation.significance import Comparison, UserValues, compare
from p5core.plugins.registry import Registry
from p5core.system.files import write_bytes, write_json, write_text
from p5core.training.defaults import metric_refs, name_defaults, watched_metric
from p5core.transfer.protocol import BLENDED, PRETRAINED, SCRATCH, Cell

__all__ = ["Gain", "Line", "TransferResults"]

RESAMPLES = 10_000

PAIRS = ((PRETRAINED, SCRATCH), (f"{PRETRAINED}, {BLENDED}", f"{SCRATCH}, {BLENDED}"))
"""Models that differ in pre-training alone."""


@dataclass(frozen=True)
class Line:
    """One model on one share of the users."""

    share: float
    model: str
    values: Mapping[str, float]
    """metric label → mean over the seeds, on test events"""
    spread: Mapping[str, float]
    """metric label → standard deviation over the seeds"""
    validation: float


@dataclass(frozen=True)
class Gain:
    """Two models on one share of the users, paired by test user; the figure of a user is the mean over the seeds."""

    share: float
    model: str
    rival: str
    label: str
    base: float
    """figure of the rival"""
    result: Comparison

    @property
    def sentence(self) -> str:
        """The gain in words."""
        low, high = self.result.low, self.result.high
        word = "gains" if low > 0 else "loses" if high < 0 else "neither gains nor loses"
        share = f" ({self.result.difference / self.base:+.1%})" if self.base else ""
        return (
            f"{self.share:.0%} of the users: {self.model} {word} against {self.rival}: {self.label} "
            f"{self.result.difference:+.4f}{share}, 95 % interval {low:+.4f} to {high:+.4f}."
        )


@dataclass(frozen=True, eq=False)
class TransferResults:
    """All cells of a measurement; `watch` is the metric that chooses."""

    cells: Sequence[Cell]
    metrics: Sequence[Metric]
    watch: Metric

    @classmethod
    def of(cls, cells: Sequence[Cell], experiment: Experiment, registry: Registry) -> TransferResults:
        """The results of the cells of an experiment."""
        named = name_defaults(experiment, registry)
        watch = watched_metric(named.stages[-1], registry)
        refs = [*metric_refs(named, registry, named.stages[-1:]), watch.label]
        return cls(cells, choose_metrics(registry, refs), watch)

    def lines(self) -> list[Line]:
        """One line a share and model, in the order of shares."""
        return [self._line(share, model) for share in self.shares() for model in self._of(share)[0].test]

    def shares(self) -> list[float]:
        """The shares of users, in order."""
        return sorted({cell.share for cell in self.cells})

    def _of(self, share: float) -> list[Cell]:
        return [cell for cell in self.cells if cell.share == share]

    def _line(self, share: float, model: str) -> Line:
        cells = self._of(share)
        figures = {
            metric.label: [
                metric.reduce(cell.test[model][metric.label], cell.weights.get(metric.label)) for cell in cells
            ]
            for metric in self.metrics
            if metric.label in cells[0].test[model]
        }
        return Line(
            share,
            model,
            {label: float(np.mean(values)) for label, values in figures.items()},
            {label: float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for label, values in figures.items()},
            float(np.mean([cell.validation[model] for cell in cells])),
        )

    def best(self, share: float, models: Sequence[str] | None = None) -> Line:
        """The model of a share that is the best on validation events, of some or of all."""
        sign = 1 if self.watch.higher_is_better else -1
        lines = [line for line in self.lines() if line.share == share and (models is None or line.model in models)]
        return max(lines, key=lambda line: sign * line.validation)

    def gains(self) -> list[Gain]:
        """Pre-trained models against those from scratch, and against the strongest model without pre-training."""
        gains = []
        for share in self.shares():
            models = list(self._of(share)[0].test)
            rivals = [model for model in models if not model.startswith(PRETRAINED)]
            pairs = [pair for pair in PAIRS if pair[0] in models and pair[1] in models]
            strongest = self.best(share, rivals).model
            kept = self.best(share, [model for model in models if model.startswith(PRETRAINED)]).model
            gains += [self._gain(share, *pair) for pair in dict.fromkeys([*pairs, (kept, strongest)])]
        return gains

    def _gain(self, share: float, model: str, rival: str) -> Gain:
        label = self.watch.label
        first, second = (
            np.mean([cell.test[name][label] for cell in self._of(share)], axis=0) for name in (model, rival)
        )
        users, weights = np.arange(len(first)), self._of(share)[0].weights.get(label)
        pair = (UserValues(users, first, weights), UserValues(users, second, weights))
        result = compare(self.watch, *pair, RESAMPLES, 0)
        return Gain(share, model, rival, label, self.watch.reduce(second, weights), result)

    def table(self) -> str:
        """Markdown: one row a share and model, the best of a share on validation events in bold."""
        labels = [metric.label for metric in self.metrics]
        rows = []
        for line in self.lines():
            mark = "**" if line.model == self.best(line.share).model else ""
            figures = [
                f"{line.values[label]:.4f} ± {line.spread[label]:.4f}" if label in line.values else "–"
                for label in labels
            ]
            n_users = f"{self._of(line.share)[0].n_users:,}"
            name = f"{mark}{line.model}{mark}"
            rows.append(f"| {line.share:.0%} ({n_users}) | {name} | {line.validation:.4f} | {' | '.join(figures)} |")
        head = f"| users | model | {self.watch.label} on validation events | {' | '.join(labels)} |"
        return "\n".join([head, f"|{' --- |' * (3 + len(labels))}", *rows])

    def write(self, folder: Path) -> None:
        """Write `table.md`, `figures.json` and `figures.png`."""
        sentences = "\n".join(f"- {gain.sentence}" for gain in self.gains())
        write_text(folder / "table.md", f"{self.table()}\n\n{sentences}\n")
        lines = [vars(line) for line in self.lines()]
        gains = [{**vars(gain), "result": vars(gain.result)} for gain in self.gains()]
        write_json(folder / "figures.json", {"lines": lines, "gains": gains})
        image = BytesIO()
        self._figure().savefig(image, format="png", dpi=150, bbox_inches="tight")
        write_bytes(folder / "figures.png", image.getvalue())

    def _figure(self) -> Figure:
        figure = Figure(figsize=(7, 4.2))
        axes = figure.subplots()
        lines, label = self.lines(), self.watch.label
        for model in dict.fromkeys(line.model for line in lines):
            own = [line for line in lines if line.model == model and label in line.values]
            places = [self.shares().index(line.share) for line in own]
            style = "-" if model.startswith(PRETRAINED) else "--"
            axes.errorbar(
                places,
                [line.values[label] for line in own],
                [line.spread[label] for line in own],
                marker="o",
                markersize=4,
                capsize=2,
                linestyle=style,
                label=model,
            )
        axes.set_xticks(range(len(self.shares())), [f"{share:.0%}" for share in self.shares()])
        axes.set_xlabel("share of the users whose events are trained on")
        axes.set_ylabel(f"{label}, test events")
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        axes.grid(alpha=0.3)
        return figure
