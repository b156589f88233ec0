"""The page Plugins: what is installed, what failed and why, and the options of every part."""

from __future__ import annotations

import gradio as gr

from p5ui.i18n.words import t
from p5ui.pages.events import QUICK
from p5ui.pages.plugins.inventory import inventory_html
from p5ui.workspace.workspace import Workspace

__all__ = ["PATH", "TITLE", "build"]

TITLE = "Plugins"
PATH = "plugins"

STYLE = """<style>
.inventory .wide { overflow-x: auto; margin: .6rem 0 1rem; }
.inventory table { width: 100%; min-width: 34rem; border-collapse: collapse; font-size: .92em; }
.inventory th, .inventory td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border: 1px solid var(--border-color-primary) !important; }
.inventory summary { cursor: pointer; padding: .3rem 0; overflow-wrap: anywhere; }
.inventory small { opacity: .7; }
.inventory .failed, .inventory .fault summary { color: var(--error-text-color); font-weight: 600; }
.inventory pre { overflow: auto; max-height: 24rem; padding: .8rem; font-size: .85em;
  background: var(--background-fill-secondary); border: 1px solid var(--border-color-primary); }
</style>"""


def build(workspace: Workspace) -> None:
    """Draw the page."""

    def show(query: str, request: gr.Request) -> str:
        return STYLE + inventory_html(workspace.registry, request.headers, query)

    gr.Markdown(t("plugins.heading"))
    gr.Markdown(t("plugins.intro"))
    query = gr.Textbox(label=t("plugins.filter"), info=t("plugins.filter_help"), max_lines=1, elem_id="plugins-filter")
    installed = gr.HTML(t("plugins.collecting"), padding=False, elem_id="plugins-installed")
    gr.on(None, show, query, installed, trigger_mode="always_last", **QUICK)
