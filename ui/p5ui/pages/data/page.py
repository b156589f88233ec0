"""The page Data: a data file, its columns, its profile, and a first experiment."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.events import api

from p5ui.forms.widgets import widget
from p5ui.i18n.words import t
from p5ui.pages.address import follow_in_address
from p5ui.pages.confirmation import Confirmation
from p5ui.pages.data.events import CLEANING, COLUMNS, LAYOUT, DataEvents
from p5ui.pages.events import ASKED, QUICK, answered, shown
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Data"
PATH = "data"

SLOW: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2, "concurrency_id": "data"}


def build(workspace: Workspace) -> None:
    """Draw the page."""
    _Page(workspace).draw()


class _Page:
    """The components of the page."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.answers = DataEvents(workspace)

    def draw(self) -> None:
        """All four steps."""
        gr.Markdown(t("data.heading"))
        gr.Markdown(t("data.intro"))
        self.section: Any = gr.State({})
        self.preset: Any = gr.State(None)
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
                self.delete = gr.Button(t("data.delete"), scale=1, min_width=140, elem_id="data-delete")
            with gr.Tab(t("data.built_in_tab")):
                self._draw_loader()
        self.confirmation = Confirmation("data")
        self.note = gr.Markdown(elem_id="data-note")

    def _draw_loader(self) -> None:
        self.loader = gr.Dropdown(
            [], value=None, label=t("data.loader"), info=t("data.loader_help"), elem_id="data-loader"
        )

        gr.render(inputs=[self.loader], triggers=[self.loader.change], queue=False)(self._draw_options)

    def _draw_options(self, name: str | None) -> None:
        if not name:
            return
        fields = self.answers.first_options(name)
        with gr.Row():
            components = [widget(field, {}, "data") for field in fields]
        take = gr.Button(t("data.look"), elem_id="data-take")

        def look(request: gr.Request, *values: Any) -> list[Any]:
            return self.answers.take(name, fields, values, request)

        take.click(shown(look), [*components], self.seen, **SLOW)

    def _draw_reading(self) -> None:
        gr.Markdown(t("data.reading"))
        self.guesses = gr.Markdown(elem_id="data-guesses")
        with gr.Row(visible=False) as self.mapping:
            self.columns = [
                gr.Dropdown(
                    [],
                    label=t(f"data.column_{name}"),
                    multiselect=name == "timestamp",
                    min_width=150,
                    elem_id=f"data-{name}",
                )
                for name in COLUMNS
            ]
        with gr.Row(visible=False) as self.writing:
            self.layout = [
                gr.Dropdown(
                    [],
                    label=t(f"data.{name}"),
                    min_width=150,
                    allow_custom_value=name in ("separator", "time_format"),
                    elem_id=f"data-{name}",
                )
                for name in LAYOUT
            ]
        with gr.Accordion(t("data.more"), open=False, visible=False, elem_id="data-more") as self.more:
            gr.render(inputs=[self.section], triggers=[self.section.change], queue=False)(self._draw_more)
        with gr.Row():
            self.raw = gr.Dataframe(
                label=t("data.as_written"), interactive=False, min_width=320, max_height=300, elem_id="data-raw"
            )
            self.events = gr.Dataframe(
                label=t("data.as_read"), interactive=False, min_width=320, max_height=300, elem_id="data-events"
            )
        with gr.Accordion(t("data.items"), open=False, visible=False) as self.content:
            self.items_upload = gr.File(label=t("data.items_upload"), elem_id="data-items-upload", height=120)
            self.items = gr.Dropdown(
                [], value=None, allow_custom_value=True, label=t("data.items_file"), info=t("data.items_help"),
                elem_id="data-items",
            )  # fmt: skip

    def _draw_more(self, section: dict[str, Any]) -> None:
        by_table = self.answers.further_options(section)
        components = []
        for table, fields in by_table.items():
            gr.Markdown(t(f"data.more_{table}"))
            with gr.Row():
                components += [widget(field, section, "data-more") for field in fields]
        all_fields = [field for fields in by_table.values() for field in fields]
        take = gr.Button(t("data.look"), elem_id="data-refine")

        def look(section: dict[str, Any], request: gr.Request, *values: Any) -> list[Any]:
            return self.answers.refine(section, all_fields, values, request)

        take.click(shown(look), [self.section, *components], self.seen, **SLOW)

    def _draw_doctor(self) -> None:
        gr.Markdown(t("data.doctor"))
        with gr.Accordion(t("data.cleaning"), open=False), gr.Row():
            self.cleaning = [widget(field, {}, "data") for field in CLEANING]
            self.split = gr.Dropdown(
                list(self._workspace.registry.parts("split")),
                label="split",
                info=t("data.split_help"),
                min_width=220,
                elem_id="data-split",
            )
        self.examine = gr.Button(t("data.examine"), variant="primary", elem_id="data-examine")
        self.busy = gr.Markdown(elem_id="data-busy")
        with gr.Column(visible=False) as self.found:
            self.merits = gr.Markdown(elem_id="data-merits")
            self.warnings = gr.Markdown(elem_id="data-warnings")
            with gr.Row():
                self.figures = gr.Dataframe(
                    label=t("data.figures"),
                    interactive=False,
                    wrap=True,
                    min_width=320,
                    max_height=1400,
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
            self.rejected = gr.DownloadButton(str(t("data.rejected")), visible=False, elem_id="data-rejected")
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
        self.seen = seen = [
            self.section, self.preset, self.note, self.reading, self.guesses, self.mapping, self.writing, self.more,
            *self.columns, *self.layout, self.raw, self.events, self.content, self.name, self.doctor, self.found,
            self.saving,
        ]  # fmt: skip
        answers = self.answers
        gr.on(None, answers.start, None, [self.file, self.items, self.loader], **QUICK).then(
            shown(answers.reopen), self.file, seen, **SLOW
        )
        follow_in_address(self.file, "file")
        uploaded = [self.file, self.items, self.upload]
        self.upload.upload(shown(answers.take_upload), self.upload, uploaded, **SLOW).success(
            shown(answers.open), self.file, seen, **SLOW
        )
        self.items_upload.upload(
            shown(answers.take_upload), self.items_upload, [self.items, self.file, self.items_upload], **SLOW
        ).success(shown(answers.add_items), [self.section, self.items], seen, **SLOW)
        self.open.click(shown(answers.open), self.file, seen, **SLOW)
        self.confirmation.before(self.delete, self.file, shown(answers.delete)).success(
            answers.offer, None, [self.file, self.items], **QUICK
        )
        self._wire_corrections()
        self._wire_examination()

    def _wire_corrections(self) -> None:
        answers, seen = self.answers, self.seen
        for component in self.columns:
            component.input(shown(answers.map), [self.section, *self.columns], seen, **SLOW)
        for component in self.layout:
            component.input(shown(answers.lay_out), [self.section, *self.layout], seen, **SLOW)
        self.items.input(shown(answers.add_items), [self.section, self.items], seen, **SLOW)

    def _wire_examination(self) -> None:
        answers = self.answers
        examined = self.examine.click(answers.wait, None, self.busy, **QUICK).then(
            shown(answers.diagnose),
            [self.section, self.preset, self.split, *self.cleaning],
            [
                self.preset, self.split, *self.cleaning, self.found, self.merits, self.warnings, self.figures,
                self.dropped, self.rejected, self.popularity, self.lengths, self.activity, self.ratings,
                self.saving, self.saved,
            ],
            **SLOW,
        )  # fmt: skip
        for ended in (examined.success, examined.failure):
            ended(lambda: "", None, self.busy, **QUICK)
        api(answered(answers.endpoint()), api_name="examine", queue=False)
        self.save.click(
            shown(answers.save),
            [self.section, self.preset, self.name, self.split, *self.cleaning],
            self.saved,
            **ASKED,
        )
