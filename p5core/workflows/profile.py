"""The profile of a log, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from p5core.config.base import PartSpec, parse_config
from p5core.config.prepare import PrepareConfig
from p5core.config.tree import parse_toml
from p5core.data.holdout import Split
from p5core.data.ingest.prepare import prepare
from p5core.data.profile.distributions import Distributions, distributions
from p5core.data.profile.findings import Merit, duplicate_share, merits
from p5core.data.profile.preview import first_rows
from p5core.data.profile.report import PrepareReport, with_split
from p5core.data.raw import RawData
from p5core.errors import P5Error
from p5core.evaluation.splitting import split_dataset
from p5core.plugins.registry import Registry

__all__ = ["MAX_ROWS", "Profile", "profile"]

MAX_ROWS = 500_000
"""Default number of rows to read: some seconds on two cores."""


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile of a log; without a `fault` all of it is there."""

    whole: PrepareReport
    """data set before cleaning"""

    report: PrepareReport | None
    """report of the cleaned data and its split"""

    curves: Distributions
    """distributions of the uncleaned data"""

    preset: Mapping[str, Any]
    """sections of an experiment that suit the data, as plain values"""

    merits: tuple[Merit, ...]
    duplicate_share: float
    """share of events that equal an earlier one in user, item and time; 0 without a clock"""

    sizes: dict[str, int]
    """"train", "validation" and "test" → events"""

    is_cut: bool
    """True if the log has more rows than were read"""

    fault: str = ""
    """reason why cleaning or the split fails with these options"""


def profile(
    raw: RawData,
    registry: Registry,
    cleaning: PrepareConfig | None = None,
    splitting: PartSpec | None = None,
    seed: int = 0,
    max_rows: int = MAX_ROWS,
) -> Profile:
    """Profile the first `max_rows` rows, both raw and cleaned and split.

    What is None is chosen as the default preset would. Raises DataError when the log itself cannot be used.
    """
    raw = first_rows(raw, max_rows)
    dataset, whole = prepare(raw, PrepareConfig(keep="all", min_user_events=1, cold_items=True))
    preset = parse_toml(registry.choose("preset", "auto").build().sections(dataset), "preset")
    cleaning = cleaning or parse_config(PrepareConfig, preset.get("prepare", {}), "prepare")
    splitting = splitting or PartSpec.model_validate(preset.get("split", {"name": "auto"}))
    report, parts, fault = None, None, ""
    try:
        cleaned, report = prepare(raw, cleaning)
        parts = split_dataset(registry, splitting, cleaned, seed)
        report = with_split(report, parts.cold_share, parts.warnings)
    except P5Error as error:
        fault = error.message
    return Profile(
        whole=whole,
        report=report,
        curves=distributions(dataset),
        preset=preset,
        merits=merits(whole, report, dataset),
        duplicate_share=duplicate_share(dataset),
        sizes=_sizes(parts) if parts else {},
        is_cut=whole.n_read >= max_rows,
        fault=fault,
    )


def _sizes(parts: Split) -> dict[str, int]:
    held = {"validation": len(parts.validation.targets.values), "test": len(parts.test.targets.values)}
    return {"train": len(parts.train), **held}
