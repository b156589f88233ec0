"""Clickstreams as RetailRocket publishes them."""

from __future__ import annotations

import pandas as pd

from p5core import Config, ExpandedPath, Loader, RawData

__all__ = ["Clickstream", "ClickstreamConfig"]


class ClickstreamConfig(Config):
    """Options of the clickstream loader."""

    path: ExpandedPath
    """CSV file with visitorid, itemid, event, timestamp."""

    items: ExpandedPath | None = None
    """CSV file with itemid and title."""


class Clickstream(Loader):
    """Views, carts and purchases; the kind of each event is the field `event`."""

    name = "clickstream"
    Config = ClickstreamConfig
    config: ClickstreamConfig

    def load(self) -> RawData:
        names = {"visitorid": "user", "itemid": "item"}
        events = pd.read_csv(self.config.path).rename(columns=names)
        items = None if self.config.items is None else pd.read_csv(self.config.items).rename(columns=names)
        return RawData(events, items=items, source=self.config.path.name, time_unit="ms")
