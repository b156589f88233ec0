"""Loaders of published data sets that can be downloaded."""

from __future__ import annotations

from pathlib import Path

from p5core.config.base import ExpandedPath
from p5core.errors import ConfigError
from p5plugins.layouts.published import Published, PublishedConfig
from p5plugins.loaders.fetch import fetch, fetchable

__all__ = ["Fetched", "FetchedConfig"]

N_NAMED = 8


class FetchedConfig(PublishedConfig):
    """Options of the loaders that fetch their data sets: those of the table loader go before those of the format."""

    path: ExpandedPath | None = None  # type: ignore[assignment]
    """Folder of the data set, as published, or its file of interactions."""

    fetch: str = ""
    """Data set to download and cache where no path is given."""


class Fetched(Published):
    """Base of the loaders of published data sets that have stable public addresses."""

    Config = FetchedConfig
    config: FetchedConfig

    def place(self) -> Path:
        """The folder or file of the data set, which is downloaded if it is not there yet."""
        config, names = self.config, list(fetchable(self.name))
        if config.path and config.fetch:
            raise ConfigError(f"data: both path = '{config.path}' and fetch = '{config.fetch}' are set. Remove one.")
        if config.path:
            return super().place()
        if config.fetch in names:
            return fetch(self.name, config.fetch)
        fault = f"fetch = '{config.fetch}' is no data set of '{self.name}'" if config.fetch else "there is no path"
        more = f" and {len(names) - N_NAMED} more (docs, Your data)" if len(names) > N_NAMED else ""
        raise ConfigError(
            f"data: {fault}. Set fetch to {', '.join(names[:N_NAMED])}{more}, or path to a folder with the files of "
            f"{self.home}."
        )
