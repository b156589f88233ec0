"""The installed plugins as shown on the page Plugins."""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from p5core.plugins.kinds import KINDS
from p5core.plugins.registry import Registry
from p5core.plugins.status import PartInfo, PluginStatus
from p5ui.i18n.messages import said
from p5ui.i18n.translations import translated

__all__ = ["OptionRow", "inventory_html", "option_rows", "type_text"]

BOUNDS = {
    "ge": "≥ {}",
    "gt": "> {}",
    "le": "≤ {}",
    "lt": "< {}",
    "min_length": "length ≥ {}",
    "max_length": "length ≤ {}",
}

Headers = Mapping[str, str]

Say = Callable[[str], str]
"""The words of a key below `plugins`."""


@dataclass(frozen=True)
class OptionRow:
    """One option of a part."""

    name: str
    type: str
    default: str
    """empty when it must be given"""

    bounds: str
    about: str


def option_rows(config: type[BaseModel]) -> list[OptionRow]:
    """The options of a block, in the order in which it declares them."""
    return [_row(info.alias or name, info) for name, info in config.model_fields.items() if not info.exclude]


def _row(name: str, info: FieldInfo) -> OptionRow:
    default = "" if info.is_required() else _value(info.get_default(call_default_factory=True))
    limits = [(text, getattr(fact, limit, None)) for fact in info.metadata for limit, text in BOUNDS.items()]
    bounds = ", ".join(text.format(f"{value:g}") for text, value in limits if value is not None)
    return OptionRow(name, type_text(info.annotation), default, bounds, " ".join((info.description or "").split()))


def _value(value: Any) -> str:
    if isinstance(value, BaseModel):
        return _value(value.model_dump(exclude_none=True))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def type_text(annotation: Any) -> str:
    """A type as people read it: "int", "auto | text", "list of str"."""
    arguments = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return type_text(arguments[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(map(type_text, arguments))
    if get_origin(annotation) is Literal:
        return " | ".join(map(_value, arguments))
    if get_origin(annotation) in (list, Sequence):
        return f"list of {type_text(arguments[0])}"
    if get_origin(annotation) in (dict, Mapping):
        return f"{type_text(arguments[0])} → {type_text(arguments[1])}"
    return "none" if annotation is type(None) else str(getattr(annotation, "__name__", annotation))


def inventory_html(registry: Registry, headers: Headers, query: str = "") -> str:
    """Plugins with what is wrong with them, then the parts of each kind whose name or words hold a text.

    Words are in the language of the browser that sent the headers; parts are found by their English ones as well.
    Everything that plugins say of themselves is escaped.
    """
    say = _say(headers)
    statuses = registry.plugins
    parts = [info for kind in KINDS for info in registry.parts(kind).values()]
    shown = [part for part in parts if query.casefold().strip() in _searched(part, headers)]
    faults = "".join(_fault(status, say) for status in statuses if status.fault is not None)
    return (
        f'<section class="inventory">{_plugins(statuses, parts, say)}{faults}'
        f"<h2>{escape(say('parts'))}</h2>{_parts(shown, headers) or escape(say('nothing'))}</section>"
    )


def _say(headers: Headers) -> Say:
    return lambda key: said(headers, f"plugins.{key}")


def _searched(info: PartInfo, headers: Headers) -> str:
    return f"{info.kind} {info.part.name} {info.about} {translated(headers, info.about)}".casefold()


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table that scrolls by itself where a window is narrow; the cells are HTML."""
    titles = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _plugins(statuses: Sequence[PluginStatus], parts: Sequence[PartInfo], say: Say) -> str:
    brought = {status.key: Counter(info.kind for info in parts if info.plugin.key == status.key) for status in statuses}
    rows = [
        (
            f"<b>{escape(status.name)}</b>",
            escape(status.distribution),
            escape(status.version),
            f'<span class="{status.state}">{escape(say(status.state))}</span>',
            escape(_counted(brought[status.key], say) or say("commands_only")),
        )
        for status in statuses
    ]
    return _table([say(key) for key in ("plugin", "distribution", "version", "state", "brings")], rows)


def _counted(brought: Mapping[str, int], say: Say) -> str:
    return ", ".join(f"{say(f'kind_{kind}').lower()}: {n}" for kind, n in brought.items())


def _fault(status: PluginStatus, say: Say) -> str:
    title = f"{status.name} ({status.distribution} {status.version}): {say('failed')}"
    return (
        f'<details class="fault" open><summary>{escape(title)}</summary><p>{escape(say("fault_help"))}</p>'
        f'<pre tabindex="0">{escape(status.fault or "")}</pre></details>'
    )


def _parts(shown: Sequence[PartInfo], headers: Headers) -> str:
    say = _say(headers)
    kinds = {kind: [info for info in shown if info.kind == kind] for kind in KINDS}
    return "".join(
        f"<h3>{escape(say(f'kind_{kind}'))}</h3>{''.join(_part(info, headers) for info in infos)}"
        for kind, infos in kinds.items()
        if infos
    )


def _part(info: PartInfo, headers: Headers) -> str:
    say = _say(headers)
    rows = option_rows(info.part.Config)
    head = [say(key) for key in ("option", "type", "default", "bounds", "about")]
    cells = [
        (f"<code>{escape(row.name)}</code>", escape(row.type), f"<code>{escape(row.default)}</code>" if row.default
         else escape(say("required")), escape(row.bounds), escape(translated(headers, row.about)))
        for row in rows
    ]  # fmt: skip
    plugin = f"{info.plugin.distribution} {info.plugin.version}"
    inner = _table(head, cells) if rows else f"<p>{escape(say('no_options'))}</p>"
    return (
        f'<details id="{info.kind}-{escape(info.part.name)}"><summary><code>{escape(info.part.name)}</code> '
        f"{escape(translated(headers, info.about))} <small>{escape(plugin)}</small></summary>{inner}</details>"
    )
