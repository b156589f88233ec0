"""The usable parts of all healthy plugins."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

import click
import pluggy

from p5core.config.base import AUTO, LABEL, Config, PartRef, PartSpec, parse_config
from p5core.errors import ConfigError, DuplicatePartError, UnknownPartError, did_you_mean
from p5core.plugins.checks import command_fault, part_faults
from p5core.plugins.kinds import KINDS
from p5core.plugins.status import Chosen, PartInfo, PluginStatus

__all__ = ["Registry"]


class Registry:
    """Parts by kind and name. Kinds are collected when first asked for.

    A name that two distributions claim belongs to neither, unless one of them is P5 itself: both parts answer to
    `distribution/name`.
    """

    def __init__(self, manager: pluggy.PluginManager, plugins: Sequence[PluginStatus]) -> None:
        self.manager = manager
        self._plugins = {plugin.key: plugin for plugin in plugins}
        self._collected: dict[str, list[PartInfo]] = {}

    @property
    def plugins(self) -> list[PluginStatus]:
        """All plugins, failed ones included, after every kind was collected."""
        for kind in KINDS:
            self.all_parts(kind)
        return list(self._plugins.values())

    @property
    def known_plugins(self) -> list[PluginStatus]:
        """All plugins with the faults that are known so far."""
        return list(self._plugins.values())

    def failures(self) -> list[PluginStatus]:
        """The plugins known to have failed so far."""
        return [plugin for plugin in self._plugins.values() if plugin.faults]

    def all_parts(self, kind: str) -> Sequence[PartInfo]:
        """Every part of a kind, several of one name included."""
        if kind not in self._collected:
            self._collected[kind] = list(self._collect(kind))
        return self._collected[kind]

    def parts(self, kind: str) -> Mapping[str, PartInfo]:
        """Name → part of one kind, sorted by name; a name that two distributions claim is written out for both."""
        return dict(sorted((self.label(info), info) for info in self.all_parts(kind)))

    def label(self, info: PartInfo) -> str:
        """The name that chooses a part: its own, or `distribution/name` where the bare name is not its."""
        return info.part.name if self._owners(info.kind, info.part.name) == [info] else info.qualified

    def info(self, kind: str, name: str) -> PartInfo:
        """The part of a name, of `distribution/name`, or the default of its kind for "auto".

        Raises UnknownPartError with what is installed, DuplicatePartError for a name that two distributions claim.
        """
        if name == AUTO.name:
            return self.defaults(kind)[0]
        for info in self.all_parts(kind):
            if name == info.qualified:
                return info
        owners = self._owners(kind, name)
        if len(owners) == 1:
            return owners[0]
        if owners:
            spelt = " or ".join(f"'{owner.qualified}'" for owner in owners)
            raise DuplicatePartError(
                f"The {kind} '{name}' is provided by {len(owners)} distributions. Write {spelt} instead."
            )
        parts = self.parts(kind)
        failed = ", ".join(plugin.name for plugin in self.failures())
        raise UnknownPartError(
            f"Unknown {kind} '{name}'.{did_you_mean(name, parts)} Installed: {', '.join(parts) or 'none'}. "
            + (f"Plugins that failed: {failed}. " if failed else "")
            + f"Run 'p5 plugins list' to see every part{' and why these plugins failed' if failed else ''}."
        )

    def _owners(self, kind: str, name: str) -> list[PartInfo]:
        """The parts that a bare name may mean: the built-in one, or all that claim it."""
        claimed = [info for info in self.all_parts(kind) if info.part.name == name]
        return [info for info in claimed if info.is_built_in] or claimed

    def defaults(self, kind: str) -> list[PartInfo]:
        """The built-in parts that an experiment gets which names none; raises UnknownPartError when there are none."""
        infos = [info for info in self.all_parts(kind) if info.is_built_in and info.part.is_default]
        if not infos:
            raise UnknownPartError(f"No {kind} is the default of its kind. Name one in the experiment.")
        return infos

    def get(self, kind: str, name: str) -> type[Any]:
        """The class of a part; raises as `info`."""
        return self.info(kind, name).part

    def choose(self, kind: str, ref: PartRef, where: str = "") -> Chosen:
        """Find a part and check its options; raises as `info`, or ConfigError."""
        spec = PartSpec.of(ref)
        part = self.get(kind, spec.name)
        options = spec.options
        if LABEL in options:
            options = {**_label_options(kind, part, str(options[LABEL])), **options}
            del options[LABEL]
        return Chosen(part, parse_config(part.Config, options, where or f"{kind} {spec.name}"))

    def commands(self, taken: Iterable[str] = ()) -> list[click.Command]:
        """Commands that plugins add to `p5`; one that is none, or of a `taken` name, is noted as a fault."""
        usable: dict[str, click.Command] = {}
        for plugin, commands in self._call("p5_commands"):
            for command in commands:
                fault = command_fault(command, {*taken, *usable})
                if fault:
                    self._fail(plugin, fault)
                else:
                    usable[str(command.name)] = command
        return list(usable.values())

    def _collect(self, kind: str) -> Iterator[PartInfo]:
        """The sound parts of a kind; the others are noted as faults of their plugins."""
        row = KINDS[kind]
        contract = getattr(importlib.import_module(row.module), row.contract)
        accepted: dict[tuple[str, str], PartInfo] = {}
        for plugin, parts in self._call(row.hook):
            for part in parts:
                faults = part_faults(part, row, contract)
                if not faults and (plugin.distribution, part.name) in accepted:
                    faults = [f"{row.hook} returned two parts called '{part.name}'. Rename one of them."]
                if faults:
                    self._fail(plugin, *faults)
                    continue
                accepted[plugin.distribution, part.name] = PartInfo(kind, part, plugin)
        yield from accepted.values()

    def _call(self, hook: str) -> list[tuple[PluginStatus, list[Any]]]:
        """Call one hook of each plugin by itself, so that a failing one stands alone."""
        results = []
        implementations = {
            implementation.plugin_name: implementation
            for implementation in getattr(self.manager.hook, hook).get_hookimpls()
        }
        for key in [key for key in self._plugins if key in implementations]:
            try:
                with redirect_stdout(sys.stderr):
                    parts = implementations[key].function()
            except (Exception, SystemExit):
                self._fail(self._plugins[key], traceback.format_exc())
                continue
            if isinstance(parts, list):
                results.append((self._plugins[key], parts))
            else:
                self._fail(self._plugins[key], f"{hook} returned {parts!r}; it must return a list.")
        return results

    def _fail(self, plugin: PluginStatus, *faults: str) -> None:
        old = self._plugins[plugin.key]
        self._plugins[plugin.key] = replace(old, faults=(*old.faults, *faults))


def _label_options(kind: str, part: type[Any], text: str) -> dict[str, Any]:
    """The options behind the @ of a label: the value of the first one, then `option=value`."""
    config: type[Config] = part.Config
    if not config.model_fields:
        raise ConfigError(f"{kind.capitalize()} '{part.name}@{text}': {part.name} has no options. Write '{part.name}'.")
    first, *others = (piece.strip() for piece in text.split(","))
    options = {next(iter(config.model_fields)): first}
    for piece in others:
        name, equals, value = piece.partition("=")
        if not equals:
            raise ConfigError(f"{kind.capitalize()} '{part.name}@{text}': expected option=value instead of '{piece}'.")
        options[name.strip()] = value.strip()
    return options
