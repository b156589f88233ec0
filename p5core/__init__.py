"""P5: from an interaction log to a recommender that runs anywhere.

    import p5core

    run = p5core.run(p5core.load_experiment(Path("experiment.toml")))
    p5core.Recommender.load(run).recommend(["a", "b"], k=10)

Names are imported when they are first used, so that `import p5core` itself is quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p5core.config.base import Config, PartSpec
    from p5core.config.experiment import Experiment, dump_experiment, load_experiment, parse_experiment
    from p5core.data.ingest.prepare import PrepareConfig, prepare
    from p5core.data.raw import RawData, Scan
    from p5core.errors import (
        ConfigError,
        DataError,
        DuplicatePartError,
        P5Error,
        PluginError,
        RunError,
        TrainingError,
        UnknownPartError,
    )
    from p5core.plugins.hookspecs import hookimpl
    from p5core.plugins.registry import Registry, load_plugins
    from p5core.runs.folder import Run, list_runs, open_run
    from p5core.workflows.recommend import Recommendation, Recommender
    from p5core.workflows.train import evaluate_run, resume, run

    __version__: str

__all__ = [
    "Config",
    "ConfigError",
    "DataError",
    "DuplicatePartError",
    "Experiment",
    "P5Error",
    "PartSpec",
    "PluginError",
    "PrepareConfig",
    "RawData",
    "Recommendation",
    "Recommender",
    "Registry",
    "Run",
    "RunError",
    "Scan",
    "TrainingError",
    "UnknownPartError",
    "__version__",
    "dump_experiment",
    "evaluate_run",
    "hookimpl",
    "list_runs",
    "load_experiment",
    "load_plugins",
    "open_run",
    "parse_experiment",
    "prepare",
    "resume",
    "run",
]

_HOMES = {
    "p5core.config.base": ("Config", "PartSpec"),
    "p5core.data.ingest.prepare": ("PrepareConfig", "prepare"),
    "p5core.data.raw": ("RawData", "Scan"),
    "p5core.errors": (
        "ConfigError",
        "DataError",
        "DuplicatePartError",
        "P5Error",
        "PluginError",
        "RunError",
        "TrainingError",
        "UnknownPartError",
    ),
    "p5core.config.experiment": ("Experiment", "dump_experiment", "load_experiment", "parse_experiment"),
    "p5core.plugins.hookspecs": ("hookimpl",),
    "p5core.workflows.train": ("evaluate_run", "resume", "run"),
    "p5core.plugins.registry": ("Registry", "load_plugins"),
    "p5core.workflows.recommend": ("Recommendation", "Recommender"),
    "p5core.runs.folder": ("Run", "list_runs", "open_run"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("p5rec")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'p5core' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
