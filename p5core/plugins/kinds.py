"""The table of kinds of parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of part. Its places in an experiment are marked there: see `p5core.config.base.Slot`."""

    name: str
    title: str
    hook: str
    module: str
    """of the contract, imported when the kind is first asked for"""
    contract: str
    checks: str
    """module of `p5core.testing.checks` with the checks of the conformance kit"""


def _kind(name: str, title: str, plural: str | None = None) -> Kind:
    plural = plural or f"{name}s"
    return Kind(name, title, f"p5_{plural}", f"p5core.contracts.{name}", name.capitalize(), plural)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("loader", "data loaders"),
        _kind("split", "splits into training, validation and test events"),
        _kind("encoder", "encoders of items and users"),
        _kind("backbone", "backbones"),
        _kind("task", "training tasks"),
        _kind("loss", "losses", "losses"),
        _kind("scorer", "scorers without gradients"),
        _kind("metric", "metrics"),
        _kind("tracker", "trackers"),
        _kind("preset", "presets of experiments"),
    )
}
"""Name → kind, in the order in which a run uses them."""
