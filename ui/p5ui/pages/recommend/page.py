"""The page Recommend: recommendations of runs and exports for a user or a history, with reasons."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import gradio as gr
from gradio.events import api
from pydantic import Field

from p5ui.i18n.messages import said, said_in_markdown
from p5ui.i18n.words import t
from p5ui.pages.address import follow_in_address, missing_in_address, run_in_address
from p5ui.pages.compare.frames import finished_runs
from p5ui.pages.events import ASKED, QUICK, answered, shown
from p5ui.pages.recommend.answers import Answers, agreement, as_html
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Recommend"
PATH = "recommend"

MOST = 10_000
"""Items that a script may ask for."""

N_FOUND = 12
N_SHOWN = 30
"""Newest items of a user that are shown as the history."""

STYLE = """<style>
.answer ol { list-style: none; padding: 0 !important; margin: 0 !important; counter-reset: place; }
.answer li { display: flex; gap: .7rem; align-items: baseline; padding: .45rem 0; counter-increment: place;
  border-bottom: 1px solid var(--border-color-primary); }
.answer li::before { content: counter(place); min-width: 1.4em; text-align: right; opacity: .6; }
.answer img { width: 3rem; height: 3rem; object-fit: cover; border-radius: 4px; align-self: center; }
.answer .what { flex: 1; min-width: 0; overflow-wrap: anywhere; }
.answer .what b { font-weight: 600; }
.answer small { display: block; opacity: .75; }
.answer .score { font-variant-numeric: tabular-nums; opacity: .75; }
</style>"""


def build(workspace: Workspace) -> None:
    """Draw the page."""
    events = _Events(workspace)
    gr.Markdown(t("recommend.heading"))
    with gr.Row():
        run = gr.Dropdown([], label=t("recommend.run"), info=t("recommend.run_help"), elem_id="recommend-run")
        second = gr.Dropdown([], label=t("recommend.second"), info=t("recommend.second_help"), elem_id="recommend-2nd")
    with gr.Row():
        with gr.Column(min_width=320):
            user = gr.Textbox(
                label=t("recommend.user"), info=t("recommend.user_help"), max_lines=1, elem_id="recommend-user"
            )
            anybody = gr.Button(t("recommend.anybody"), size="md", elem_id="recommend-anybody")
            history = gr.Dropdown(
                [], multiselect=True, label=t("recommend.history"), info=t("recommend.history_help"),
                elem_id="recommend-history",
            )  # fmt: skip
            about = gr.Markdown(elem_id="recommend-about")
        words, items = _search()
    k, go = _go()
    note, lists = gr.Markdown(elem_id="recommend-note"), _lists()

    follow_in_address(run)
    gr.on(None, events.start, None, [run, second, note], **QUICK)
    run.change(events.find, [run, words, history], items, **ASKED)
    words.change(events.find, [run, words, history], items, trigger_mode="always_last", **ASKED)
    items.input(events.tick, [run, words, history, items], [history, user], **ASKED)
    history.input(events.find, [run, words, history], items, **ASKED).then(lambda: "", None, user, **QUICK)
    user.submit(events.choose, [run, user, words], [history, items, about], **ASKED)
    asked = [run, second, user, history, k]
    slow: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2}
    chosen = anybody.click(events.draw, run, user, **ASKED).success(
        events.choose, [run, user, words], [history, items, about], **ASKED
    )
    for begun in (chosen.success, partial(gr.on, [go.click, user.submit])):
        answered = begun(events.wait, None, [*lists, note], **QUICK).then(
            events.recommend, asked, [*lists, note], **slow
        )
        answered.failure(lambda: "", None, note, **QUICK)
    api(events.endpoint, api_name="recommend", queue=False)


def _go() -> tuple[gr.Slider, gr.Button]:
    """The length of the list, and the button that asks for it."""
    with gr.Row():
        k = gr.Slider(1, 50, 10, step=1, label=t("recommend.k"), scale=3, elem_id="recommend-k")
        go = gr.Button(t("recommend.go"), variant="primary", scale=1, min_width=160, elem_id="recommend-go")
    return k, go


def _search() -> tuple[gr.Textbox, gr.CheckboxGroup]:
    """Search for items by words, and what was found."""
    with gr.Column(min_width=320):
        words = gr.Textbox(
            label=t("recommend.search"), info=t("recommend.search_help"), max_lines=1, elem_id="recommend-search"
        )
        items = gr.CheckboxGroup([], label=t("recommend.found"), elem_id="recommend-found")
    return words, items


def _lists() -> list[gr.HTML]:
    """One list for each of the answers that stand side by side."""
    lists = []
    with gr.Row():
        for place in range(3):
            with gr.Column(min_width=300):
                lists.append(gr.HTML(elem_id=f"recommend-list-{place}", padding=False))
    return lists


class _Events:
    """Event handlers of the page."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._answers = workspace, Answers(workspace)
        self.find, self.tick, self.choose = shown(self._find), shown(self._tick), shown(self._choose)
        self.draw, self.recommend = shown(self._draw), shown(self._recommend)
        self.endpoint = answered(self._endpoint())

    def start(self, request: gr.Request) -> tuple[Any, Any, str]:
        """Choose the run that the address names."""
        runs = finished_runs(self._workspace)
        nobody = (said(request.headers, "recommend.nobody"), "")
        note = "" if runs else said(request.headers, "recommend.none")
        if missing := missing_in_address(request, runs):
            note = said_in_markdown(request.headers, "recommend.missing", name=missing)
        run = gr.Dropdown(runs, value=run_in_address(request, runs))
        return run, gr.Dropdown([nobody, *((suffix, suffix) for suffix in runs)], value=""), note

    def wait(self, request: gr.Request) -> tuple[str, ...]:
        """Clear the previous lists and show that the first answer takes longer."""
        return "", "", "", said(request.headers, "recommend.loading")

    def _find(self, run: str | None, words: str, history: list[str]) -> Any:
        """Items to tick; those of the history are ticked."""
        if not run:
            return gr.CheckboxGroup([])
        search = self._answers.search(run)
        ids = search.find(words, N_FOUND)
        choices = [(title, str(choice)) for title, choice in zip(search.titles(ids), ids, strict=True)]
        return gr.CheckboxGroup(choices, value=[choice for _, choice in choices if choice in history])

    def _tick(self, run: str, words: str, history: list[str], ticked: list[str]) -> tuple[Any, str]:
        """The history with what was ticked and without what was not."""
        shown_now = [str(item) for item in self._answers.search(run).find(words, N_FOUND)]
        kept = [item for item in history if item not in shown_now or item in ticked]
        return self._history(run, [*kept, *(item for item in ticked if item not in kept)]), ""

    def _history(self, run: str, ids: list[str]) -> Any:
        titles = self._answers.search(run).titles(ids)
        return gr.Dropdown(list(zip(titles, ids, strict=True)), value=ids)

    def _draw(self, run: str | None) -> str:
        return self._answers.any_user(run) if run else ""

    def _choose(self, run: str | None, user: str, words: str, request: gr.Request) -> tuple[Any, Any, str]:
        """The history of a user."""
        if not run or not user.strip():
            return gr.skip(), gr.skip(), ""
        ids = list(dict.fromkeys(self._answers.history(run, user)[::-1]))[::-1]
        note = ""
        if not ids:
            note = said_in_markdown(request.headers, "recommend.unknown_user", user=user.strip())
        elif len(ids) > N_SHOWN:
            note = said(request.headers, "recommend.shortened", n=len(ids), shown=N_SHOWN)
        ids = ids[-N_SHOWN:]
        return self._history(run, ids), self._find(run, words, ids), note

    def _recommend(
        self, run: str | None, second: str, user: str, history: list[str], k: int, request: gr.Request
    ) -> tuple[Any, ...]:
        if not run:
            return "", "", "", said(request.headers, "recommend.none")
        headers, because = request.headers, said(request.headers, "recommend.because")
        first = self._answers.network(run, history, user, k)
        lists = [as_html(first, run, because)]
        if second:
            lists.append(as_html(self._answers.network(second, history, user, k), second, because))
        note = said_in_markdown(headers, "recommend.not_exported", name=run)
        if self._answers.has_export(run):
            exported = self._answers.exported(run, history, user, k)
            lists.append(as_html(exported, said(headers, "recommend.onnx", name=run), because))
            same = agreement(first, exported)
            key, worst = "agree" if same.is_same_order else "differ", f"{same.worst:.1e}"
            note = said(headers, f"recommend.{key}", n=same.n, same=same.n_same, worst=worst)
        return (*(STYLE + row for row in lists), *[""] * (3 - len(lists)), note)

    def _endpoint(self) -> Any:
        answers = self._answers

        def recommend(
            run: str, history: list[str | int], k: Annotated[int, Field(ge=1, le=MOST)] = 10
        ) -> list[dict[str, Any]]:
            """Recommend `k` items with a finished run for a history of item ids, oldest first, and say why."""
            ids = [str(item) for item in history]
            return [asdict(recommendation) for recommendation in answers.recommendations(run, ids, "", k)]

        return recommend
