"""Event handlers of the page Data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import pandas as pd
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from p5core.config.base import PartSpec, parse_config
from p5core.config.prepare import PrepareConfig
from p5core.config.tree import get_value, to_toml
from p5core.data.profile.clean_events import rejected_frame, write_table
from p5core.errors import ConfigError
from p5core.workflows.profile import Profile
from p5ui.forms.fields import Field, fields_of
from p5ui.i18n.messages import plain, said, said_in_markdown
from p5ui.i18n.translations import translated
from p5ui.pages.data.profile_view import (
    Look,
    diagnose,
    dropped_rows,
    figures,
    look,
    merit_text,
    popularity,
    warning_text,
)
from p5ui.workspace.drafts import beginning, save_draft
from p5ui.workspace.sandbox import data_files, usable_loaders
from p5ui.workspace.uploads import delete_upload, keep_upload
from p5ui.workspace.workspace import Workspace

__all__ = ["CLEANING", "COLUMNS", "LAYOUT", "DataEvents"]

COLUMNS = ("user", "item", "timestamp", "rating")
TIMESTAMP = COLUMNS.index("timestamp")
LAYOUT = ("separator", "header", "encoding", "time_unit", "day_first", "time_format")
TABLES = ("items", "users")
"""Tables beside the log, by the beginning of their options."""
PLACED = {*COLUMNS, *LAYOUT, "path", "items"}
SWITCHES = ("header", "day_first")
ORDERS = (("day", "true"), ("month", "false"))
TIME_FORMATS = ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%Y%m%d"]
SEPARATORS = [(",", ","), ("tab", "\t"), (";", ";"), ("|", "|"), ("::", "::"), ("space", " ")]
CLEANING = fields_of(PrepareConfig, leave=("memory_limit", "fields"))


class DataEvents:
    """Event handlers of the page; each returns updates of its components."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def start(self, request: gr.Request) -> tuple[Any, Any, Any]:
        """Fill what depends on the folder, with the file that the address names."""
        files = data_files(self._workspace)
        requested = str(request.query_params.get("file", ""))
        file = (
            gr.Dropdown(files, value=requested) if requested else gr.Dropdown(files)
        )  # somebody may have been quicker
        loaders = [loader for loader in usable_loaders(self._workspace.registry) if loader != "table"]
        return file, gr.Dropdown(["", *files], value=""), gr.Dropdown(loaders)

    def take_upload(self, arrived: str | None) -> tuple[Any, Any, None]:
        """Take a file into the folder of uploads, to be chosen in one list and offered in the other."""
        if arrived is None:
            raise ConfigError("Choose a file first.")
        name = keep_upload(self._workspace, Path(arrived))
        files = data_files(self._workspace)
        return gr.Dropdown(files, value=name), gr.Dropdown(["", *files]), None

    def delete(self, name: str, request: gr.Request) -> None:
        """Delete an uploaded file."""
        delete_upload(self._workspace, name)
        gr.Info(said(request.headers, "data.said_delete", name=escape(name)))

    def offer(self) -> tuple[Any, Any]:
        """The files that are left, to be chosen in both lists."""
        files = data_files(self._workspace)
        return gr.Dropdown(files, value=None), gr.Dropdown(["", *files])

    def reopen(self, name: str | None, request: gr.Request) -> Any:
        """Look at the file that the address names."""
        return self.open(name, request) if name else gr.skip()

    def open(self, name: str | None, request: gr.Request) -> list[Any]:
        """Look at a file below the working folder."""
        if not name:
            raise ConfigError("Name a file below the working folder, or upload one.")
        return self._look({"name": "table", "path": name}, request)

    def take(self, loader: str, fields: Sequence[Field], values: Sequence[Any], request: gr.Request) -> list[Any]:
        """Look at what another loader brings with its options."""
        section: dict[str, Any] = {"name": loader}
        for field, value in zip(fields, values, strict=True):
            section = section if value == field.show({}) else field.apply(section, value)
        return self._look(section, request)

    def map(self, section: dict[str, Any], request: gr.Request, *chosen: str | list[str] | None) -> list[Any]:
        """Read the columns as they were corrected."""
        named: dict[str, Any] = {name: column or "" for name, column in zip(COLUMNS, chosen, strict=True)}
        if isinstance(named["timestamp"], list) and len(named["timestamp"]) == 1:
            [named["timestamp"]] = named["timestamp"]
        return self._look({**section, **{k: v for k, v in named.items() if v or k in COLUMNS[2:]}}, request)

    def lay_out(self, section: dict[str, Any], request: gr.Request, *chosen: str | None) -> list[Any]:
        """Columns have other names when the file is cut otherwise, so they are guessed again."""
        layout: dict[str, Any] = {name: value for name, value in zip(LAYOUT, chosen, strict=True) if value}
        layout |= {name: layout[name] == "true" for name in SWITCHES if name in layout}
        is_same = all(layout.get(option) == section.get(option) for option in LAYOUT[:3] if option in section)
        left_out = {*LAYOUT} if is_same else {*LAYOUT, *COLUMNS}
        return self._look({**{k: v for k, v in section.items() if k not in left_out}, **layout}, request)

    def add_items(self, section: dict[str, Any], name: str | None, request: gr.Request) -> list[Any]:
        """Join a table of items, or none."""
        kept = {key: value for key, value in section.items() if key != "items"}
        return self._look({**kept, "items": name} if name else kept, request)

    def first_options(self, loader: str) -> list[Field]:
        """Options of a loader by which its data is found; those of tables follow when it has been read."""
        config = self._workspace.registry.get("loader", loader).Config
        of_tables = {*COLUMNS, *LAYOUT} <= config.model_fields.keys()
        return [field for field in fields_of(config) if not of_tables or config.model_fields[field.name].is_required()]

    def further_options(self, section: Mapping[str, Any]) -> dict[str, list[Field]]:
        """Options of the loader that have no place of their own on the page, by the table that they are about."""
        if not section:
            return {}
        fields = fields_of(self._workspace.registry.get("loader", section["name"]).Config, leave=PLACED)
        tables = [next((table for table in TABLES if field.name.startswith(table)), "log") for field in fields]
        return {
            table: [field for field, its_table in zip(fields, tables, strict=True) if its_table == table]
            for table in ("log", *TABLES)
            if table in tables
        }

    def refine(
        self, section: dict[str, Any], fields: Sequence[Field], values: Sequence[Any], request: gr.Request
    ) -> list[Any]:
        """Read the data with further options of its loader."""
        for field, value in zip(fields, values, strict=True):
            section = section if value == field.show(section) else field.apply(section, value)
        return self._look(section, request)

    def _look(self, section: dict[str, Any], request: gr.Request) -> list[Any]:
        """Preview the chosen data; all ways to choose data end here."""
        looked = look(self._workspace, section)
        options = self._workspace.registry.get("loader", section["name"]).Config.model_fields
        has_columns, has_layout = set(COLUMNS) <= options.keys(), set(LAYOUT) <= options.keys()
        notes = "\n".join(f"- {plain(translated(request.headers, note))}" for note in looked.notes)
        fault = said_in_markdown(request.headers, "data.fault", fault=looked.fault) + "\n\n" if looked.fault else ""
        return [
            section,
            None,
            "",
            gr.Column(visible=True),
            fault + notes,
            gr.Row(visible=has_columns),
            gr.Row(visible=has_layout),
            gr.Accordion(visible=has_layout),
            *self._column_choices(looked, request),
            *self._layout_choices(section, looked, request),
            looked.preview.preview.astype("str"),
            pd.DataFrame() if looked.events is None else looked.events.astype("str"),
            gr.Accordion(visible="items" in options),
            _name_for(section),
            gr.Column(visible=not looked.fault),
            gr.Column(visible=False),
            gr.Column(visible=False),
        ]

    def _column_choices(self, looked: Look, request: gr.Request) -> list[Any]:
        names = [str(name) for name in looked.preview.preview.columns]
        nothing = (said(request.headers, "data.no_column"), "")
        columns = looked.preview.columns
        choices: list[Any] = [
            gr.Dropdown(
                [*([nothing] if name in COLUMNS[2:] else []), *((taken, taken) for taken in names)],
                value=columns.get(name, "" if name in COLUMNS[2:] else None),
            )
            for name in COLUMNS
        ]
        times = columns.get("timestamp", [])
        choices[TIMESTAMP] = gr.Dropdown(names, value=[times] if isinstance(times, str) else times)
        return choices

    def _layout_choices(self, section: dict[str, Any], looked: Look, request: gr.Request) -> list[Any]:
        settings = looked.preview.settings
        yes, no = (
            (said(request.headers, f"data.{choice}"), word) for choice, word in (("yes", "true"), ("no", "false"))
        )
        guess = (said(request.headers, "data.guess"), "")
        units = [(said(request.headers, f"data.unit_{unit}"), unit) for unit in ("s", "ms", "us", "ns", "step")]
        orders = [(said(request.headers, f"data.first_{order}"), word) for order, word in ORDERS]
        header = settings.get("header")
        return [
            gr.Dropdown(SEPARATORS, value=settings.get("separator")),
            gr.Dropdown([yes, no], value=None if header is None else str(header).lower()),
            gr.Dropdown(["utf-8", "latin-1", "utf-16"], value=section.get("encoding", "utf-8")),
            gr.Dropdown([guess, *units], value=section.get("time_unit", "")),
            gr.Dropdown([guess, *orders], value=str(section.get("day_first", "")).lower()),
            gr.Dropdown([guess, *TIME_FORMATS], value=section.get("time_format", "")),
        ]

    def diagnose(
        self,
        section: dict[str, Any],
        preset: dict[str, Any] | None,
        split: str | None,
        request: gr.Request,
        *cleaning: Any,
    ) -> list[Any]:
        """The first time as the default preset would clean and split; then as the fields say."""
        headers = request.headers
        chosen = self._chosen(split, cleaning) if preset else {}
        profile = diagnose(
            self._workspace,
            section,
            parse_config(PrepareConfig, chosen["prepare"], "prepare") if preset else None,
            PartSpec.model_validate(chosen["split"]) if preset else None,
        )
        suggested = profile.preset.get("prepare", {})
        fields = [gr.skip()] * len(CLEANING) if preset else [field.show(suggested) for field in CLEANING]
        return [
            profile.preset,
            gr.skip() if preset else get_value(profile.preset, ("split", "name"), "auto"),
            *fields,
            gr.Column(visible=True),
            merit_text(headers, profile),
            warning_text(headers, profile),
            figures(headers, profile),
            dropped_rows(headers, profile),
            _rejected(profile),
            *_plots(headers, profile),
            gr.Column(visible=not profile.fault),
            "",
        ]  # fmt: skip

    def endpoint(self) -> Callable[[str], dict[str, Any]]:
        """The API endpoint for scripts."""
        workspace = self._workspace

        def examine(file: str) -> dict[str, Any]:
            """Examine a file below the working folder: figures as read and as cleaned, and what it is good for."""
            profile = diagnose(workspace, {"name": "table", "path": file}, None, None)
            cleaned = profile.report.to_dict() if profile.report else None
            merits = [asdict(merit) for merit in profile.merits]
            return {"read": profile.whole.to_dict(), "cleaned": cleaned, "merits": merits, "fault": profile.fault}

        return examine

    def _chosen(self, split: str | None, cleaning: tuple[Any, ...]) -> dict[str, Any]:
        """The sections prepare and split as the fields say."""
        tree: dict[str, Any] = {}
        for field, value in zip(CLEANING, cleaning, strict=True):
            tree = field.apply(tree, value)
        return {"prepare": tree, "split": {"name": split or "auto"}}

    def wait(self, request: gr.Request) -> str:
        """Say that a large log takes longer."""
        return said(request.headers, "data.examining")

    def save(
        self,
        section: dict[str, Any],
        preset: dict[str, Any] | None,
        name: str,
        split: str | None,
        request: gr.Request,
        *cleaning: Any,
    ) -> str:
        """Keep the experiment that begins with this data."""
        if preset is None:
            raise ConfigError("Examine the data first: what is suggested depends on it.")
        tree = beginning(section, preset, self._chosen(split, cleaning))
        save_draft(self._workspace, name, to_toml(tree))
        return said_in_markdown(request.headers, "data.saved", name=name)


def _plots(headers: Mapping[str, str], profile: Profile) -> list[Any]:
    curves = profile.curves
    axis = {name: said(headers, f"data.axis_{name}") for name in ("log_events", "events", "users")}
    lengths = curves.lengths["events"].tolist()
    ratings = None if curves.ratings is None else curves.ratings["rating"].tolist()
    events: dict[str, Any] = {"x_title": " ", "y_title": axis["events"], "y_lim": [0, None]}
    return [
        gr.LinePlot(popularity(profile), x_title=" ", y_title=axis["log_events"]),  # a title below would be cut off
        gr.BarPlot(curves.lengths, x_title=" ", y_title=axis["users"], y_lim=[0, None], sort=lengths),
        gr.LinePlot(curves.activity, visible=curves.activity is not None, **events),
        gr.BarPlot(curves.ratings, visible=ratings is not None, sort=ratings, **events),
    ]


def _rejected(profile: Profile) -> Any:
    """The cells for which rows were dropped, as a file to download."""
    rejected = profile.whole.rejected
    if not rejected:
        return gr.DownloadButton(visible=False)
    with TemporaryDirectory(prefix="p5-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "dropped.csv"
        write_table(rejected_frame(rejected), path)
        return gr.DownloadButton(value=save_file_to_cache(path, get_upload_folder()), visible=True)


def _name_for(section: dict[str, Any]) -> str:
    """A name for the draft: that of the file, or of the set."""
    return Path(str(section.get("path") or section["name"])).name.partition(".")[0] or "draft"
