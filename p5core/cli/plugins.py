"""`p5 plugins list` and `p5 presets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p5core.plugins.registry import Registry
    from p5core.plugins.status import PartInfo, PluginStatus

__all__ = ["markdown_table", "plugins", "presets"]


@click.group()
def plugins() -> None:
    """Inspect installed plugins and their parts."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table of the parts.")
@click.option("--times", is_flag=True, help="Print the time that importing each plugin took.")
@click.pass_obj
def list_command(registry: Registry, as_json: bool, markdown: bool, times: bool) -> None:
    """List every part with the distribution that provides it, and every plugin that failed."""
    statuses = registry.plugins  # collects every kind, so that all faults are known
    if times:
        for plugin in sorted(statuses, key=lambda status: -status.seconds):
            click.echo(f"{plugin.seconds:8.3f} s  {plugin.name} ({plugin.distribution})")
    elif markdown:
        click.echo(markdown_table(_parts(registry)))
    elif as_json:
        click.echo(json.dumps({"parts": _part_rows(registry), "plugins": _plugin_rows(statuses)}, indent=1))
    else:
        _print(registry, statuses)


@click.command()
@click.pass_obj
def presets(registry: Registry) -> None:
    """List the presets that `p5 init --preset NAME` takes."""
    infos = registry.parts("preset")
    width = max(map(len, infos), default=0)
    for name, info in sorted(infos.items()):
        click.echo(f"{name:{width}}  {info.about}")


def _parts(registry: Registry) -> list[PartInfo]:
    from p5core.plugins.kinds import KINDS

    return [info for kind in KINDS for info in sorted(registry.all_parts(kind), key=lambda one: one.part.name)]


def _part_rows(registry: Registry) -> list[dict[str, str]]:
    return [
        {
            "kind": info.kind,
            "name": registry.label(info),
            "plugin": info.plugin.name,
            "distribution": info.plugin.distribution,
            "version": info.plugin.version,
            "state": "ok",
            "about": info.about,
        }
        for info in _parts(registry)
    ]


def _plugin_rows(statuses: list[PluginStatus]) -> list[dict[str, str | None]]:
    return [
        {
            "name": status.name,
            "distribution": status.distribution,
            "version": status.version,
            "state": status.state,
            "fault": status.fault,
        }
        for status in statuses
    ]


def _print(registry: Registry, statuses: list[PluginStatus]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from p5core.cli.tables import wide_console

    table = Table()
    for column in ("kind", "name", "distribution", "version", "state"):
        table.add_column(column)
    for info in _parts(registry):
        plugin = info.plugin
        table.add_row(info.kind, escape(registry.label(info)), escape(plugin.distribution), plugin.version, "ok")
    failed = [status for status in statuses if status.fault is not None]
    bringing = {info.plugin.key for info in _parts(registry)}
    for status in statuses:
        if status.fault is not None or status.key not in bringing:  # a plugin may bring commands alone
            state = "ok" if status.fault is None else "[red]failed[/red]"
            table.add_row("plugin", escape(status.name), escape(status.distribution), status.version, state)
    wide_console().print(table)
    for plugin in failed:
        title = f"{plugin.name} ({plugin.distribution} {plugin.version}) failed:"
        click.echo(f"\n{click.style(title, fg='red')}\n{plugin.fault}")


def markdown_table(parts: Iterable[PartInfo]) -> str:
    """Parts as a Markdown table: kind, name and description."""
    rows = [f"| {info.kind} | `{info.part.name}` | {_cell(info)} |" for info in parts]
    return "\n".join(["| kind | name | description |", "| --- | --- | --- |", *rows])


def _cell(info: PartInfo) -> str:
    return info.about.replace("|", r"\|")
