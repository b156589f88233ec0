"""The hooks that a plugin may implement, one a kind of part.

A plugin is a module (or object) named by an entry point of the group `p5`:

    [project.entry-points.p5]
    mine = "p5_mine"

with functions such as

    from p5core import hookimpl

    P5_API_VERSION = 2

    @hookimpl
    def p5_backbones():
        from p5_mine.wave import Wave
        return [Wave]

Imports belong inside the functions, so that `p5 --help` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from p5core.contracts.backbone import Backbone
    from p5core.contracts.encoder import Encoder
    from p5core.contracts.loader import Loader
    from p5core.contracts.loss import Loss
    from p5core.contracts.metric import Metric
    from p5core.contracts.preset import Preset
    from p5core.contracts.scorer import Scorer
    from p5core.contracts.split import Split
    from p5core.contracts.task import Task
    from p5core.contracts.tracker import Tracker

__all__ = [
    "API_VERSION",
    "API_VERSION_NAME",
    "hookimpl",
    "p5_backbones",
    "p5_commands",
    "p5_encoders",
    "p5_loaders",
    "p5_losses",
    "p5_metrics",
    "p5_presets",
    "p5_scorers",
    "p5_splits",
    "p5_tasks",
    "p5_trackers",
]

API_VERSION = 2
"""Version of the contracts and hooks; a change that breaks plugins raises it."""

API_VERSION_NAME = "P5_API_VERSION"
"""Name by which a plugin's module says the version that it was written for."""

hookspec = pluggy.HookspecMarker("p5")
hookimpl = pluggy.HookimplMarker("p5")


@hookspec
def p5_loaders() -> list[type[Loader]]:
    """Data loaders."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_splits() -> list[type[Split]]:
    """Splits."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_encoders() -> list[type[Encoder]]:
    """Encoders of items and users."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_backbones() -> list[type[Backbone]]:
    """Backbones."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_tasks() -> list[type[Task]]:
    """Training tasks."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_losses() -> list[type[Loss]]:
    """Losses."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_scorers() -> list[type[Scorer]]:
    """Scorers."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_metrics() -> list[type[Metric]]:
    """Metrics."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_trackers() -> list[type[Tracker]]:
    """Trackers."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_presets() -> list[type[Preset]]:
    """Presets."""
    raise AssertionError("a specification is never called")


@hookspec
def p5_commands() -> list[click.Command]:
    """Commands below `p5`."""
    raise AssertionError("a specification is never called")
