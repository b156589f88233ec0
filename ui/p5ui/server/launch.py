"""Launching the interface, with unused features of gradio off."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gradio as gr

from p5core.errors import ConfigError
from p5core.plugins.kinds import KINDS
from p5core.plugins.registry import Registry
from p5ui.i18n.words import I18N
from p5ui.server.app import build_app, script
from p5ui.server.guard import app_options
from p5ui.server.login import Account
from p5ui.workspace.workspace import Workspace

__all__ = ["MAX_UPLOAD", "Place", "launch", "load_parts"]

MAX_UPLOAD = "2gb"

FONTS = ("system-ui", "sans-serif")
MONO_FONTS = ("ui-monospace", "monospace")
"""Those of the reader's machine: of the bold letters, gradio brings 55."""

SECONDS_BEFORE_LOADING = 5.0
"""The first page comes first."""


class Place(NamedTuple):
    """Address, host names and credentials of the interface."""

    host: str = "127.0.0.1"
    port: int = 7860
    """0 takes a free one"""

    names: tuple[str, ...] = ()
    """other names under which it is opened"""

    auth: tuple[str, str] | None = None
    """user and password; nobody is asked without"""


FIXED: Mapping[str, Any] = {
    "max_file_size": MAX_UPLOAD,
    "prevent_thread_lock": True,
    "quiet": True,
    "i18n": I18N,
    "allowed_paths": [],
    "footer_links": [],
    "share": False,
    "run_history": False,
    "enable_monitoring": False,
    "ssr_mode": False,
    "pwa": False,
}
"""Fixed options of gradio."""


def launch(
    workspace: Workspace,
    place: Place,
    mcp: bool,
    say: Callable[[str], None],
    page: str = "",
    open_at: Callable[[str], object] | None = None,
) -> None:
    """Serve the interface until Ctrl-C; says where, with the page to open, and opens it if it is told how.

    Raises ConfigError for an address that cannot be had.
    """
    app = build_app(workspace)
    account = Account(*place.auth) if place.auth else None
    try:
        _, address, _ = app.launch(
            server_name=place.host,
            server_port=place.port or None,
            app_kwargs=app_options([place.host, *place.names], account),
            mcp_server=mcp,
            js=script(),
            theme=gr.themes.Default(font=FONTS, font_mono=MONO_FONTS),
            **FIXED,
        )
    except OSError:
        raise ConfigError(
            f"Cannot listen at {place.host}, port {place.port}. Choose another --host or --port."
        ) from None
    if account:
        account.has_started = True
    say(f"P5 works in {workspace.folder}. Open {address}{page} (Ctrl-C ends it; jobs go on).")
    if open_at:
        open_at(f"{address}{page}")
    later = threading.Timer(SECONDS_BEFORE_LOADING, load_parts, [workspace.registry])
    later.daemon = True
    later.start()
    try:
        _look_after_jobs(workspace, say)
    except KeyboardInterrupt:
        app.close(verbose=False)


def load_parts(registry: Registry) -> None:
    """Import torch in the background, since the pages Train and Recommend need it and it takes seconds."""
    for kind in KINDS:
        registry.parts(kind)
    importlib.import_module("p5core.workflows.recommend")


def _look_after_jobs(workspace: Workspace, say: Callable[[str], None]) -> None:
    """Start queued jobs regularly, even while no page is open."""
    while True:
        try:
            workspace.jobs.advance()
        except OSError as error:
            say(f"Jobs that wait cannot be started: {error}.")
            time.sleep(60)
        time.sleep(1)
