"""Random logs in every published file format come back equal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_layouts import FORMS, Event, Form, random_events

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare_more
from p5core.data.profile.clean_events import event_frame
from p5core.plugins.discovery import load_plugins
from p5core.plugins.registry import Registry

N_LOGS = int(os.environ.get("P5_RANDOM_LOGS", "20")) // 10
"""Of each format."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


def read(registry: Registry, form: Form, folder: Path) -> list[tuple[Any, ...]]:
    """The events by user and oldest first, with the columns of the format."""
    spec = PartSpec.model_validate({"name": form.loader, "path": str(folder)})
    raw = registry.choose("loader", spec, "data").build().load()
    frame = event_frame(prepare_more(raw, PrepareConfig(keep="all"))[0])
    if "timestamp" in form.columns:
        frame["timestamp"] = [moment.to_pydatetime().replace(tzinfo=UTC) for moment in frame["timestamp"]]
    return [tuple(row) for row in frame[["user", "item", *form.columns]].astype("object").to_numpy()]


def expected(form: Form, events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """The events as they must be read: by user, and oldest first where the format has times or days."""

    def position(event: Event) -> tuple[Any, ...]:
        user = event.user if isinstance(event.user, int) else event.user.encode()
        has_times = "timestamp" in form.columns or form.loader == "tmall" or form.loader == "yoochoose"
        return (user, event.item if form.by_item else event.moment if has_times else 0)

    values = {"timestamp": lambda event: event.moment}
    columns = [values.get(name, lambda event: event.value) for name in form.columns]
    return [(event.user, event.item, *(of(event) for of in columns)) for event in sorted(events, key=position)]


@pytest.mark.parametrize("name", FORMS)
def test_random_logs_in_published_formats_come_back_equal(name: str, registry: Registry, tmp_path: Path) -> None:
    form = FORMS[name]
    for seed in range(N_LOGS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        events = random_events(form, np.random.default_rng(seed))
        form.write(folder, events)
        loader = max(registry.parts("loader").values(), key=lambda info: info.part.recognises(folder)).part
        assert loader.name == form.loader, f"seed {seed}"
        got, right = read(registry, form, folder), expected(form, events)
        assert [row[:2] for row in got] == [row[:2] for row in right], f"seed {seed}"
        assert got == [
            tuple(pytest.approx(cell) if isinstance(cell, float) else cell for cell in row) for row in right
        ], f"seed {seed}"


def test_every_published_loader_has_a_random_log(registry: Registry) -> None:
    from p5plugins.layouts.published import Published

    published = {name for name, info in registry.parts("loader").items() if issubclass(info.part, Published)}
    assert published <= {form.loader for form in FORMS.values()}
