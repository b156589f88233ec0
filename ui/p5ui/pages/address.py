"""The run shown by a page, kept as `?run=NAME` in its address for reloads and links."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

import gradio as gr

from p5ui.pages.events import QUICK

__all__ = ["follow_in_address", "missing_in_address", "run_in_address"]

WRITE = Template("""(value) => {
    const address = new URL(window.location), text = [value].flat().filter(Boolean).join(",");
    if (text) {
        address.searchParams.delete("$replaced");
        address.searchParams.set("$parameter", text);
    } else {
        address.searchParams.delete("$parameter");
    }
    window.history.replaceState(window.history.state, "", address);
}""")
"""JavaScript that puts the value of a component into the address, without loading anything."""


def run_in_address(request: gr.Request, names: Sequence[str]) -> str | None:
    """The run that the address names, the first of `names` when it names none; None for one that is not there."""
    name = str(request.query_params.get("run", ""))
    return (name if name in names else None) if name else next(iter(names), None)


def missing_in_address(request: gr.Request, names: Sequence[str]) -> str:
    """The run that the address names and that is not one of `names`; empty when there is no such."""
    name = str(request.query_params.get("run", ""))
    return "" if name in names else name


def follow_in_address(component: gr.Dropdown, parameter: str = "run", replaced: str = "") -> None:
    """Keep `?parameter=` equal to the value of a component; a list is joined by commas.

    A value removes the parameter `replaced` from the address.
    """
    script = WRITE.substitute(parameter=parameter, replaced=replaced)
    component.change(None, component, None, js=script, **QUICK)
