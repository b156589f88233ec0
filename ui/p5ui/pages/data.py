"""The page Data: a person's own file, how it is read, what it is good for, and an experiment that begins with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from p5core.config import parse_config
from p5core.data.doctor import Diagnosis
from p5core.data.prepare import PrepareConfig
from p5core.data.split import ByUser, LeaveOneOut, RandomRatio, SplitConfig, TimeWindows
from p5core.errors import ConfigError
from p5core.parts.part import NoOptions
from p5core.recipes import Recipe
from p5ui.doctor_view import Look, diagnose, dropped_rows, figures, look, merit_text, popularity, warning_text
from p5ui.drafts import beginning, save_draft, written
from p5ui.events import shown
from p5ui.forms import fields_of
from p5ui.places import data_files, usable_loaders
from p5ui.saying import said
from p5ui.studio import Studio
from p5ui.uploads import keep_upload
from p5ui.widgets import QUICK, on_input, widget
from p5ui.words import t

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Data"
PATH = "data"

COLUMNS = ("user", "item", "timestamp", "rating")
LAYOUT = ("separator", "header", "encoding", "time_unit")
SEPARATORS = [(",", ","), ("tab", "\t"), (";", ";"), ("|", "|"), ("::", "::"), ("space", " ")]
SPLITS: dict[str, type[SplitConfig]] = {"leave_one_out": LeaveOneOut, "time": TimeWindows, "by_user": ByUser}
SPLITS["random"] = RandomRatio
CLEANING = ("keep", "min_rating", "min_user_events", "min_item_events")
SLOW: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2, "concurrency_id": "data"}


def build(studio: Studio) -> None:
    """Draw the page."""
    _Page(studio).draw()


class _Page:
    """The components of the page and what they call."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def draw(self) -> None:
        """All four steps."""
        gr.Markdown(t("data.heading"))
        gr.Markdown(t("data.intro"))
        self.section: Any = gr.State({})
        self.recipe: Any = gr.State(None)
        self._draw_source()
        with gr.Column(visible=False) as self.reading:
            self._draw_reading()
            with gr.Column(visible=False) as self.doctor:
                self._draw_doctor()
                self._draw_save()
        self._wire()

    def _draw_source(self) -> None:
        gr.Markdown(t("data.source"))
        with gr.Tabs():
            with gr.Tab(t("data.upload_tab")):
                self.upload = gr.File(label=t("data.upload"), elem_id="data-upload", height=160)
            with gr.Tab(t("data.name_tab")), gr.Row(equal_height=True):
                self.file = gr.Dropdown(
                    [], value=None, allow_custom_value=True, label=t("data.file"), info=t("data.file_help"), scale=3,
                    min_width=260, elem_id="data-file",
                )  # fmt: skip
                self.open = gr.Button(t("data.look"), scale=1, min_width=140, elem_id="data-open")
            with gr.Tab(t("data.built_in_tab")):
                self._draw_loader()
        self.note = gr.Markdown(elem_id="data-note")

    def _draw_loader(self) -> None:
        self.options: Any = gr.State({})
        self.loader = gr.Dropdown(
            [], value=None, label=t("data.loader"), info=t("data.loader_help"), elem_id="data-loader"
        )

        gr.render(inputs=[self.loader], triggers=[self.loader.change], queue=False)(self._draw_options)
        self.take = gr.Button(t("data.look"), elem_id="data-take")

    def _draw_options(self, name: str | None) -> None:
        config = self._studio.registry.get("loader", name).Config if name else NoOptions
        with gr.Row():
            for field in fields_of(config):
                component = widget(field, {}, "data")

                def change(shown_value: Any, options: dict[str, Any], field: Any = field) -> dict[str, Any]:
                    changed: dict[str, Any] = field.apply(options, shown_value)
                    return changed

                on_input(component, shown(change), [component, self.options], [self.options])

    def _draw_reading(self) -> None:
        gr.Markdown(t("data.reading"))
        self.guesses = gr.Markdown(elem_id="data-guesses")
        with gr.Row(visible=False) as self.mapping:
            self.columns = [
                gr.Dropdown([], label=t(f"data.column_{name}"), min_width=150, elem_id=f"data-{name}")
                for name in COLUMNS
            ]
        with gr.Row(visible=False) as self.writing:
            self.layout = [
                gr.Dropdown(
                    [],
                    label=t(f"data.{name}"),
                    min_width=150,
                    allow_custom_value=name == "separator",
                    elem_id=f"data-{name}",
                )
                for name in LAYOUT
            ]
        with gr.Row():
            self.raw = gr.Dataframe(
                label=t("data.as_written"), interactive=False, min_width=320, max_height=300, elem_id="data-raw"
            )
            self.events = gr.Dataframe(
                label=t("data.as_read"), interactive=False, min_width=320, max_height=300, elem_id="data-events"
            )
        with gr.Accordion(t("data.items"), open=False, visible=False) as self.content:
            self.items = gr.Dropdown(
                [], value=None, allow_custom_value=True, label=t("data.items_file"), info=t("data.items_help"),
                elem_id="data-items",
            )  # fmt: skip

    def _draw_doctor(self) -> None:
        gr.Markdown(t("data.doctor"))
        with gr.Accordion(t("data.cleaning"), open=False), gr.Row():
            self.cleaning_fields = [one for one in fields_of(PrepareConfig) if one.name in CLEANING]
            self.cleaning = [widget(field, {}, "data") for field in self.cleaning_fields]
            self.split = gr.Dropdown(
                list(SPLITS), label="split", info=t("data.split_help"), min_width=220, elem_id="data-split"
            )
        self.examine = gr.Button(t("data.examine"), variant="primary", elem_id="data-examine")
        with gr.Column(visible=False) as self.found:
            self.merits = gr.Markdown(elem_id="data-merits")
            self.warnings = gr.Markdown(elem_id="data-warnings")
            with gr.Row():
                self.figures = gr.Dataframe(
                    label=t("data.figures"),
                    interactive=False,
                    wrap=True,
                    min_width=320,
                    max_height=700,
                    column_widths=["40%", "30%", "30%"],
                    elem_id="data-figures",
                )
                self.dropped = gr.Dataframe(
                    label=t("data.dropped"),
                    interactive=False,
                    wrap=True,
                    min_width=320,
                    column_widths=["25%", "75%"],
                    elem_id="data-dropped",
                )
            self._draw_plots()

    def _draw_plots(self) -> None:
        shape: dict[str, Any] = {"height": 260, "min_width": 320}
        with gr.Row():
            self.popularity = gr.LinePlot(x="rank", y="events", label=t("data.plot_popularity"), **shape)
            self.lengths = gr.BarPlot(x="events", y="users", label=t("data.plot_lengths"), x_label_angle=-35, **shape)
        with gr.Row():
            self.activity = gr.LinePlot(x="time", y="events", label=t("data.plot_activity"), **shape)
            self.ratings = gr.BarPlot(x="rating", y="events", label=t("data.plot_ratings"), **shape)

    def _draw_save(self) -> None:
        with gr.Column(visible=False) as self.saving:
            gr.Markdown(t("data.saving"))
            with gr.Row(equal_height=True):
                self.name = gr.Textbox(label=t("data.name"), max_lines=1, scale=3, min_width=220, elem_id="data-name")
                self.save = gr.Button(t("data.save"), variant="primary", scale=1, min_width=140, elem_id="data-save")
            self.saved = gr.Markdown(elem_id="data-saved")

    def _wire(self) -> None:
        seen = [
            self.section, self.recipe, self.note, self.reading, self.guesses, self.mapping, self.writing,
            *self.columns, *self.layout, self.raw, self.events, self.content, self.name, self.doctor, self.found,
            self.saving,
        ]  # fmt: skip
        gr.on(None, self._start, None, [self.file, self.items, self.loader], **QUICK)
        self.loader.change(dict, None, self.options, **QUICK)
        self.upload.upload(shown(self._take_upload), self.upload, [self.file, self.upload], **SLOW).success(
            shown(self._open), self.file, seen, **SLOW
        )
        self.open.click(shown(self._open), self.file, seen, **SLOW)
        self.take.click(shown(self._take), [self.loader, self.options], seen, **SLOW)
        for component in self.columns:
            component.input(shown(self._map), [self.section, *self.columns], seen, **SLOW)
        for component in self.layout:
            component.input(shown(self._lay_out), [self.section, *self.layout], seen, **SLOW)
        self.items.input(shown(self._add_items), [self.section, self.items], self.section, **QUICK)
        self.examine.click(
            shown(self._examine),
            [self.section, self.recipe, self.split, *self.cleaning],
            [
                self.recipe, self.split, *self.cleaning, self.found, self.merits, self.warnings, self.figures,
                self.dropped, self.popularity, self.lengths, self.activity, self.ratings, self.saving, self.saved,
            ],
            **SLOW,
        )  # fmt: skip
        self.save.click(
            shown(self._save),
            [self.section, self.recipe, self.name, self.split, *self.cleaning],
            self.saved,
            **QUICK,
        )

    def _start(self) -> tuple[Any, Any, Any]:
        """Fill what depends on the folder."""
        known = data_files(self._studio)
        loaders = [one for one in usable_loaders(self._studio.registry) if one != "table"]
        first = "movielens" if "movielens" in loaders else None
        return gr.Dropdown(known, value=None), gr.Dropdown(["", *known], value=""), gr.Dropdown(loaders, value=first)

    def _take_upload(self, arrived: str | None) -> tuple[Any, None]:
        if arrived is None:
            raise ConfigError("Choose a file first.")
        name = keep_upload(self._studio, Path(arrived))
        return gr.Dropdown(data_files(self._studio), value=name), None

    def _open(self, name: str | None, request: gr.Request) -> list[Any]:
        if not name:
            raise ConfigError("Name a file below the working folder, or upload one.")
        return self._look({"name": "table", "path": name}, request)

    def _take(self, loader: str | None, options: dict[str, Any], request: gr.Request) -> list[Any]:
        if not loader:
            raise ConfigError("Choose a data set first.")
        return self._look({"name": loader, **options}, request)

    def _map(self, section: dict[str, Any], request: gr.Request, *chosen: str | None) -> list[Any]:
        named = {name: column or "" for name, column in zip(COLUMNS, chosen, strict=True)}
        return self._look({**section, **{k: v for k, v in named.items() if v or k in COLUMNS[2:]}}, request)

    def _lay_out(self, section: dict[str, Any], request: gr.Request, *chosen: str | None) -> list[Any]:
        """Columns have other names when the file is cut otherwise, so they are guessed again."""
        layout: dict[str, Any] = {name: value for name, value in zip(LAYOUT, chosen, strict=True) if value}
        if "header" in layout:
            layout["header"] = layout["header"] == "true"
        is_same = all(layout.get(one) == section.get(one) for one in LAYOUT[:3] if one in section)
        left_out = {*LAYOUT} if is_same else {*LAYOUT, *COLUMNS}
        return self._look({**{k: v for k, v in section.items() if k not in left_out}, **layout}, request)

    def _add_items(self, section: dict[str, Any], name: str | None) -> dict[str, Any]:
        kept = {key: value for key, value in section.items() if key != "items"}
        return {**kept, "items": name} if name else kept

    def _look(self, section: dict[str, Any], request: gr.Request) -> list[Any]:
        """What every way to choose data leads to."""
        found = look(self._studio, section)
        known = self._studio.registry.get("loader", section["name"]).Config.model_fields
        has_columns, has_layout = set(COLUMNS) <= known.keys(), set(LAYOUT) <= known.keys()
        notes = "\n".join(f"- {note}" for note in found.notes)
        fault = said(request.headers, "data.fault", fault=found.fault) + "\n\n" if found.fault else ""
        return [
            section,
            None,
            "",
            gr.Column(visible=True),
            fault + notes,
            gr.Row(visible=has_columns),
            gr.Row(visible=has_layout),
            *self._column_choices(found, request),
            *self._layout_choices(section, found, request),
            found.sketch.preview.astype("str"),
            pd.DataFrame() if found.events is None else found.events.astype("str"),
            gr.Accordion(visible="items" in known),
            _name_for(section),
            gr.Column(visible=not found.fault),
            gr.Column(visible=False),
            gr.Column(visible=False),
        ]

    def _column_choices(self, found: Look, request: gr.Request) -> list[Any]:
        names = [str(name) for name in found.sketch.preview.columns]
        nothing = (said(request.headers, "data.no_column"), "")
        return [
            gr.Dropdown(
                [*([nothing] if name in COLUMNS[2:] else []), *((one, one) for one in names)],
                value=found.sketch.columns.get(name, "" if name in COLUMNS[2:] else None),
            )
            for name in COLUMNS
        ]

    def _layout_choices(self, section: dict[str, Any], found: Look, request: gr.Request) -> list[Any]:
        settings = found.sketch.settings
        yes, no = ((said(request.headers, f"data.{one}"), word) for one, word in (("yes", "true"), ("no", "false")))
        guess = (said(request.headers, "data.guess"), "")
        units = [(said(request.headers, f"data.unit_{one}"), one) for one in ("s", "ms", "us", "ns", "step")]
        header = settings.get("header")
        return [
            gr.Dropdown(SEPARATORS, value=settings.get("separator")),
            gr.Dropdown([yes, no], value=None if header is None else str(header).lower()),
            gr.Dropdown(["utf-8", "latin-1", "utf-16"], value=section.get("encoding", "utf-8")),
            gr.Dropdown([guess, *units], value=section.get("time_unit", "")),
        ]

    def _examine(
        self, section: dict[str, Any], recipe: Recipe | None, split: str | None, request: gr.Request, *cleaning: Any
    ) -> list[Any]:
        """The first time as a recipe would clean and split; then as the fields say."""
        headers = request.headers
        chosen = self._chosen(split, cleaning) if recipe else {}
        found = diagnose(
            self._studio,
            section,
            parse_config(PrepareConfig, chosen["prepare"], "prepare") if recipe else None,
            parse_config(SPLITS[chosen["split"]["name"]], {}, "split") if recipe else None,
        )
        suggested = {"min_user_events": found.recipe.min_events, "min_item_events": found.recipe.min_events}
        fields = [gr.skip()] * len(self.cleaning) if recipe else [
            suggested.get(field.name, field.show({})) for field in self.cleaning_fields
        ]  # fmt: skip
        return [
            found.recipe,
            gr.skip() if recipe else found.recipe.split,
            *fields,
            gr.Column(visible=True),
            merit_text(headers, found),
            warning_text(headers, found),
            figures(headers, found),
            dropped_rows(headers, found),
            *_plots(headers, found),
            gr.Column(visible=not found.fault),
            "",
        ]  # fmt: skip

    def _chosen(self, split: str | None, cleaning: tuple[Any, ...]) -> dict[str, Any]:
        """The sections prepare and split as the fields say."""
        tree: dict[str, Any] = {}
        for field, value in zip(self.cleaning_fields, cleaning, strict=True):
            tree = field.apply(tree, value)
        return {"prepare": tree, "split": {"name": split or "leave_one_out"}}

    def _save(
        self,
        section: dict[str, Any],
        recipe: Recipe | None,
        name: str,
        split: str | None,
        request: gr.Request,
        *cleaning: Any,
    ) -> str:
        if recipe is None:
            raise ConfigError("Examine the data first: what is suggested depends on it.")
        tree = beginning(section, recipe, self._chosen(split, cleaning))
        save_draft(self._studio, name, written(tree))
        return said(request.headers, "data.saved", name=name)


def _plots(headers: Mapping[str, str], found: Diagnosis) -> list[Any]:
    curves = found.curves
    axis = {name: said(headers, f"data.axis_{name}") for name in ("rank", "log_events", "events", "users", "length")}
    lengths = curves.lengths["events"].tolist()
    ratings = None if curves.ratings is None else curves.ratings["rating"].tolist()
    events: dict[str, Any] = {"x_title": " ", "y_title": axis["events"], "y_lim": [0, None]}
    return [
        gr.LinePlot(popularity(found), x_title=axis["rank"], y_title=axis["log_events"]),
        gr.BarPlot(curves.lengths, x_title=axis["length"], y_title=axis["users"], y_lim=[0, None], sort=lengths),
        gr.LinePlot(curves.activity, visible=curves.activity is not None, **events),
        gr.BarPlot(curves.ratings, visible=ratings is not None, sort=ratings, **events),
    ]


def _name_for(section: dict[str, Any]) -> str:
    """A name for the draft: that of the file, or of the set."""
    return Path(str(section.get("path") or section["name"])).name.partition(".")[0] or "draft"
