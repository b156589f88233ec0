"""A component for each kind of option."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import gradio as gr
from gradio.components import Component

from p5ui.forms.fields import Field
from p5ui.i18n.translations import told
from p5ui.pages.events import IN_TURN

__all__ = ["on_input", "widget"]


def widget(field: Field, tree: Mapping[str, Any], prefix: str = "option") -> Component:
    """Draw an option with its value, bounds and help."""
    value = field.show(tree)
    about: dict[str, Any] = {
        "label": field.name,
        "info": told(field.help),
        "elem_id": "-".join([prefix, *map(str, field.steps)]),
        "min_width": 220,
        "interactive": True,
    }
    if field.kind == "bool":
        with gr.Column(min_width=about.pop("min_width")):  # a Checkbox has the width and gives it no room
            return gr.Checkbox(bool(value), **about)
    if field.kind == "choice":
        return gr.Dropdown(list(dict.fromkeys([*field.choices, value])), value=value, **about)
    if field.kind == "list":
        choices = list(dict.fromkeys([*field.choices, *value]))
        return gr.Dropdown(choices, value=value, multiselect=True, allow_custom_value=not field.choices, **about)
    if field.kind == "float" and field.low is not None and field.high is not None:
        step = (field.high - field.low) / 100
        return gr.Slider(field.low, field.high, value, step=step, **{**about, "min_width": 300})
    if field.kind in ("int", "float"):
        return gr.Number(
            value, minimum=field.low, maximum=field.high, step=1 if field.kind == "int" else 0.001, **about
        )
    return gr.Textbox(value, max_lines=4, **about)


def on_input(component: Component, function: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
    """Call a function when a person has changed a component, or pressed a button."""
    if isinstance(component, gr.Slider):
        component.release(function, inputs, outputs, **IN_TURN)
    elif isinstance(component, gr.Button):
        component.click(function, inputs, outputs, **IN_TURN)
    else:
        # Every other widget above has this event; gradio gives it to the classes at run time.
        cast("Any", component).input(function, inputs, outputs, trigger_mode="always_last", **IN_TURN)
