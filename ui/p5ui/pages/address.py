"""The run shown by a page, kept as `?run=NAME` in its address for reloads and links."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

__all__ = ["follow_in_address", "missing_in_address", "run_in_address"]

WRITE = """(name) => {
    const address = new URL(window.location);
    if (name) { address.searchParams.set("run", name); } else { address.searchParams.delete("run"); }
    window.history.replaceState(window.history.state, "", address);
}"""
"""JavaScript that puts the value of a component into the address, without loading anything."""


def run_in_address(request: gr.Request, names: Sequence[str]) -> str | None:
    """The run that the address names, the first of `names` when it names none; None for one that is not there."""
    name = str(request.query_params.get("run", ""))
    return (name if name in names else None) if name else next(iter(names), None)


def missing_in_address(request: gr.Request, names: Sequence[str]) -> str:
    """The run that the address names and that is not one of `names`; empty when there is no such."""
    name = str(request.query_params.get("run", ""))
    return "" if name in names else name


def follow_in_address(component: gr.Dropdown) -> None:
    """Keep `?run=` equal to the value of a component that chooses a run."""
    component.change(None, component, None, js=WRITE, queue=False, show_progress="hidden", api_visibility="private")
