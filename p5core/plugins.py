"""Finds plugins, checks what they bring, and says what is wrong with those that fail.

Plugins are loaded one by one: one that cannot be imported, misspells a hook or claims a taken name becomes a row with
its traceback, and everything else keeps working.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from p5core import hookspecs
from p5core.config import Config, PartSpec, parse_config
from p5core.errors import DuplicatePartError, PluginError, UnknownPartError, did_you_mean

if TYPE_CHECKING:
    import click

    from p5core.parts.part import Part

__all__ = ["GROUP", "KINDS", "Chosen", "PartInfo", "PluginStatus", "Registry", "load_plugins"]

GROUP = "p5"
"""The entry point group that plugins register in."""

KINDS: Mapping[str, tuple[str, str, str]] = {
    "loader": ("p5_loaders", "p5core.parts.loader", "Loader"),
    "encoder": ("p5_encoders", "p5core.parts.encoder", "Encoder"),
    "backbone": ("p5_backbones", "p5core.parts.backbone", "Backbone"),
    "task": ("p5_tasks", "p5core.parts.task", "Task"),
    "loss": ("p5_losses", "p5core.parts.loss", "Loss"),
    "metric": ("p5_metrics", "p5core.parts.metric", "Metric"),
    "tracker": ("p5_trackers", "p5core.parts.tracker", "Tracker"),
}
"""Kind → hook, module and class of its contract; contracts are imported when a kind is first asked for."""

PartT = TypeVar("PartT", bound="Part")


@dataclass(frozen=True)
class PluginStatus:
    """One installed plugin."""

    name: str
    distribution: str
    version: str
    fault: str | None = None
    """The traceback or message when the plugin, or one of its hooks, failed."""

    @property
    def state(self) -> str:
        """ "ok" or "failed"."""
        return "ok" if self.fault is None else "failed"


@dataclass(frozen=True)
class PartInfo:
    """One usable part and who brought it."""

    kind: str
    part: type[Part]
    plugin: PluginStatus


@dataclass(frozen=True)
class Chosen:
    """A part picked by an experiment, with its checked options."""

    part: type[Any]
    config: Config

    def build(self, *arguments: Any) -> Any:
        """Make the part: its class called with the options and `arguments`."""
        return self.part(self.config, *arguments)


@dataclass
class Registry:
    """The usable parts of all healthy plugins. Kinds are collected when first asked for."""

    manager: pluggy.PluginManager
    _plugins: dict[str, PluginStatus]
    _parts: dict[str, dict[str, PartInfo]] = field(default_factory=dict)

    @property
    def plugins(self) -> list[PluginStatus]:
        """All plugins, failed ones included, after every kind was collected."""
        for kind in KINDS:
            self.parts(kind)
        return list(self._plugins.values())

    def failures(self) -> list[PluginStatus]:
        """The plugins known to have failed so far."""
        return [plugin for plugin in self._plugins.values() if plugin.fault is not None]

    def parts(self, kind: str) -> Mapping[str, PartInfo]:
        """Name → part of one kind, sorted by name."""
        if kind not in self._parts:
            self._parts[kind] = dict(sorted(self._collect(kind).items()))
        return self._parts[kind]

    def get(self, kind: str, name: str) -> type[Any]:
        """The class of a part; raises UnknownPartError with what is installed."""
        known = self.parts(kind)
        if name not in known:
            listed = ", ".join(known) or "none"
            raise UnknownPartError(
                f"Unknown {kind} '{name}'.{did_you_mean(name, known)} Installed: {listed}. "
                "Run 'p5 plugins list' to see every part and which plugins failed."
            )
        return known[name].part

    def choose(self, kind: str, spec: PartSpec, where: str = "") -> Chosen:
        """Find a part and check its options; raises UnknownPartError or ConfigError."""
        part = self.get(kind, spec.name)
        return Chosen(part, parse_config(part.Config, spec.options, where or f"{kind} {spec.name}"))

    def commands(self) -> list[click.Command]:
        """Commands that plugins add to `p5`."""
        return [command for _, found in self._call("p5_commands") for command in cast("Iterable[Any]", found)]

    def _collect(self, kind: str) -> dict[str, PartInfo]:
        hook, module, contract_name = KINDS[kind]
        contract = getattr(importlib.import_module(module), contract_name)
        found: dict[str, PartInfo] = {}
        for plugin, parts in self._call(hook):
            try:
                checked = [_checked(part, contract, hook) for part in parts]
                for part in checked:
                    _refuse_duplicate(kind, part, plugin, found)
            except PluginError as error:
                self._fail(plugin.name, str(error))
                continue
            found |= {part.name: PartInfo(kind, part, plugin) for part in checked}
        return found

    def _call(self, hook: str) -> list[tuple[PluginStatus, Any]]:
        """Call one hook of each plugin by itself, so that a failing one stands alone."""
        results = []
        implementations = getattr(self.manager.hook, hook).get_hookimpls()
        for implementation in sorted(implementations, key=lambda one: list(self._plugins).index(one.plugin_name)):
            try:
                results.append((self._plugins[implementation.plugin_name], implementation.function()))
            except Exception:
                self._fail(implementation.plugin_name, traceback.format_exc())
        return results

    def _fail(self, name: str, fault: str) -> None:
        old = self._plugins[name]
        joined = fault if old.fault is None else f"{old.fault}\n{fault}"
        self._plugins[name] = PluginStatus(old.name, old.distribution, old.version, joined)


def load_plugins(extra: Iterable[tuple[str, object]] = ()) -> Registry:
    """Load every plugin of the entry point group `p5`, then the `extra` (name, module or object) pairs."""
    manager = pluggy.PluginManager("p5")
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager, {})
    for entry in sorted(entry_points(group=GROUP), key=_built_ins_first):
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "unknown"
        _register(registry, PluginStatus(entry.name, distribution, version), entry)
    for name, plugin in extra:
        _register(registry, PluginStatus(name, name, "local"), plugin)
    return registry


def _built_ins_first(entry: EntryPoint) -> tuple[bool, str]:
    return (entry.dist is None or entry.dist.name != "p5rec", entry.name)


def _register(registry: Registry, status: PluginStatus, source: EntryPoint | object) -> None:
    if status.name in registry._plugins:
        registry._fail(status.name, f"Two plugins are called '{status.name}'; the second one was not loaded.")
        return
    registry._plugins[status.name] = status
    try:
        plugin = source.load() if isinstance(source, EntryPoint) else source
        registry.manager.register(plugin, status.name)
    except Exception:
        registry._fail(status.name, traceback.format_exc())
        return
    try:
        registry.manager.check_pending()
    except pluggy.PluginValidationError as error:
        registry.manager.unregister(plugin)
        registry._fail(status.name, _misspelt(plugin, str(error)))


def _misspelt(plugin: object, message: str) -> str:
    known = [name for name in hookspecs.__all__ if name.startswith("p5_")]
    for name in dir(plugin):
        if hasattr(getattr(plugin, name), "p5_impl") and name not in known:
            return f"Unknown hook '{name}'.{did_you_mean(name, known)} Known hooks: {', '.join(known)}."
    return message


def _checked(part: Any, contract: type[PartT], hook: str) -> type[PartT]:
    if not (isinstance(part, type) and issubclass(part, contract)):
        raise PluginError(
            f"{hook} returned {part!r}, which is no subclass of {contract.__module__}.{contract.__name__}."
        )
    if not isinstance(getattr(part, "name", None), str):
        raise PluginError(f"{hook} returned {part.__qualname__}, which has no `name`.")
    if not (isinstance(part.Config, type) and issubclass(part.Config, Config)):
        raise PluginError(f"{hook} returned '{part.name}', whose `Config` is no subclass of p5core.Config.")
    return part


def _refuse_duplicate(kind: str, part: type[Part], plugin: PluginStatus, found: Mapping[str, PartInfo]) -> None:
    if part.name in found:
        first = found[part.name].plugin
        raise DuplicatePartError(
            f"The {kind} '{part.name}' of {plugin.distribution} (plugin '{plugin.name}') is already brought by "
            f"{first.distribution} (plugin '{first.name}'). Uninstall one of them or rename the part."
        )
