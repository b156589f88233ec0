"""The split by time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from p5core.config.base import Config
from p5core.contracts.split import Split
from p5core.data.dataset import Dataset
from p5core.data.holdout import Role
from p5core.errors import ConfigError
from p5core.system.messages import Message

__all__ = ["TimeWindows", "TimeWindowsConfig"]


class TimeWindowsConfig(Config):
    """Options of the split by time."""

    validation: float | datetime = 0.8
    """Start of the validation window: a date, or a fraction of all events."""

    test: float | datetime = 0.9
    """Start of the test window: a date, or a fraction of all events."""


class TimeWindows(Split):
    """Splits by time: train before one date, validate up to another, test after."""

    name = "time"
    Config = TimeWindowsConfig
    config: TimeWindowsConfig

    def roles(self, dataset: Dataset, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        if not dataset.has_clock:
            raise ConfigError(
                Message("split.name: 'time' needs timestamps, and this data has none. Use 'leave_one_out'.")
            )
        times, config = dataset.events.times, self.config
        begin, end = (_moment(times, bound) for bound in (config.validation, config.test))
        if begin >= end:
            raise ConfigError(
                f"split.validation ({config.validation} is {_written(begin)}) must lie before split.test "
                f"({config.test} is {_written(end)}). Shares that fall on one moment, because many events share it, "
                "must lie further apart."
            )
        roles = np.where(times < begin, Role.TRAIN, np.where(times < end, Role.VALIDATION, Role.TEST))
        return roles.astype(np.int8)


def _moment(times: npt.NDArray[np.int64], bound: float | datetime) -> int:
    """Microseconds since 1970 of a date, or of a share of all events."""
    if isinstance(bound, datetime):
        utc = bound.astimezone(UTC) if bound.tzinfo else bound
        return int(np.datetime64(utc.replace(tzinfo=None), "us").astype(np.int64))
    if not 0 < bound < 1:
        raise ConfigError(f"split: {bound} is no share of the events; give a number between 0 and 1, or a date.")
    return int(np.quantile(times, bound, method="higher"))


def _written(moment: int) -> str:
    return np.datetime_as_string(np.datetime64(moment, "us"), unit="s").replace("T", " ")
