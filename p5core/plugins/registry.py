"""Finds plugins, checks what they bring, and says what is wrong with those that fail.

Plugins are loaded one by one: one that cannot be imported, misspells a hook or claims a taken name becomes a row with
its traceback, and everything else keeps working.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

import click
import pluggy

from p5core.config.base import Config, PartSpec, parse_config
from p5core.errors import DuplicatePartError, PluginError, UnknownPartError, did_you_mean
from p5core.plugins import hookspecs

if TYPE_CHECKING:
    from p5core.contracts.part import Part

__all__ = ["GROUP", "KINDS", "Chosen", "PartInfo", "PluginStatus", "Registry", "load_plugins"]

GROUP = "p5"
"""The entry point group that plugins register in."""

KINDS: Mapping[str, tuple[str, str, str]] = {
    "loader": ("p5_loaders", "p5core.contracts.loader", "Loader"),
    "encoder": ("p5_encoders", "p5core.contracts.encoder", "Encoder"),
    "backbone": ("p5_backbones", "p5core.contracts.backbone", "Backbone"),
    "task": ("p5_tasks", "p5core.contracts.task", "Task"),
    "loss": ("p5_losses", "p5core.contracts.loss", "Loss"),
    "metric": ("p5_metrics", "p5core.contracts.metric", "Metric"),
    "tracker": ("p5_trackers", "p5core.contracts.tracker", "Tracker"),
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
    def key(self) -> str:
        """What no other plugin is called: two distributions may use the same entry point name."""
        return f"{self.distribution}:{self.name}"

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

    @property
    def about(self) -> str:
        """The first sentence of its docstring."""
        paragraph = " ".join((self.part.__doc__ or "").strip().split("\n\n")[0].split())
        sentence, dot, _ = paragraph.partition(". ")
        return sentence + "." if dot else sentence


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
            failed = ", ".join(plugin.name for plugin in self.failures())
            raise UnknownPartError(
                f"Unknown {kind} '{name}'.{did_you_mean(name, known)} Installed: {listed}. "
                + (f"Plugins that failed: {failed}. " if failed else "")
                + "Run 'p5 plugins list' to see every part and what is wrong with plugins that failed."
            )
        return known[name].part

    def choose(self, kind: str, spec: PartSpec, where: str = "") -> Chosen:
        """Find a part and check its options; raises UnknownPartError or ConfigError."""
        part = self.get(kind, spec.name)
        return Chosen(part, parse_config(part.Config, spec.options, where or f"{kind} {spec.name}"))

    def commands(self, taken: Iterable[str] = ()) -> list[click.Command]:
        """Commands that plugins add to `p5`; a plugin that brings one of a `taken` name is noted as failed."""
        found: dict[str, click.Command] = {}
        for plugin, commands in self._call("p5_commands"):
            fault = _faulty_command(commands, {*taken, *found})
            if fault:
                self._fail(plugin.key, fault)
            else:
                found |= {str(command.name): command for command in commands}
        return list(found.values())

    def _collect(self, kind: str) -> dict[str, PartInfo]:
        hook, module, contract_name = KINDS[kind]
        contract = getattr(importlib.import_module(module), contract_name)
        found: dict[str, PartInfo] = {}
        for plugin, parts in self._call(hook):
            try:
                found |= _checked(kind, parts, contract, plugin, found)
            except PluginError as error:
                self._fail(plugin.key, str(error))
        return found

    def _call(self, hook: str) -> list[tuple[PluginStatus, list[Any]]]:
        """Call one hook of each plugin by itself, so that a failing one stands alone."""
        results = []
        implementations = {one.plugin_name: one for one in getattr(self.manager.hook, hook).get_hookimpls()}
        for key in [key for key in self._plugins if key in implementations]:
            try:
                found = implementations[key].function()
            except (Exception, SystemExit):
                self._fail(key, traceback.format_exc())
                continue
            if isinstance(found, list):
                results.append((self._plugins[key], found))
            else:
                self._fail(key, f"{hook} returned {found!r}; it must return a list.")
        return results

    def _fail(self, key: str, fault: str) -> None:
        old = self._plugins[key]
        self._plugins[key] = replace(old, fault=fault if old.fault is None else f"{old.fault}\n{fault}")


def load_plugins(extra: Iterable[tuple[str, object]] = ()) -> Registry:
    """Load every plugin of the entry point group `p5`, then the `extra` (name, module or object) pairs."""
    manager = pluggy.PluginManager("p5")
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager, {})
    for entry in sorted(entry_points(group=GROUP), key=_built_ins_first):
        _register(registry, _found(entry), entry)
    for name, plugin in extra:
        _register(registry, PluginStatus(name, name, "local"), plugin)
    return registry


def _found(entry: EntryPoint) -> PluginStatus:
    return PluginStatus(entry.name, _fact(entry, "Name"), _fact(entry, "Version"))


def _fact(entry: EntryPoint, key: str) -> str:
    """What the distribution says of itself; a damaged installation says nothing."""
    if entry.dist is None or key not in entry.dist.metadata:
        return "unknown"
    return entry.dist.metadata[key]


def _built_ins_first(entry: EntryPoint) -> tuple[bool, str]:
    return (_found(entry).distribution != "p5rec", entry.name)


def _register(registry: Registry, status: PluginStatus, source: EntryPoint | object) -> None:
    registry._plugins[status.key] = status
    try:
        plugin = source.load() if isinstance(source, EntryPoint) else source
    except (Exception, SystemExit):
        registry._fail(status.key, traceback.format_exc())
        return
    if registry.manager.is_registered(plugin):
        registry._fail(status.key, "Another plugin names the same module; the second one was not loaded.")
        return
    try:
        registry.manager.register(plugin, status.key)
        registry.manager.check_pending()
    except Exception as error:
        registry.manager.unregister(name=status.key)  # pluggy may keep hooks that it had found before the faulty one
        is_refused = isinstance(error, pluggy.PluginValidationError)
        registry._fail(status.key, _misspelt(plugin, str(error)) if is_refused else traceback.format_exc())


def _misspelt(plugin: object, message: str) -> str:
    known = [name for name in hookspecs.__all__ if name.startswith("p5_")]
    for name in dir(plugin):
        if hasattr(inspect.getattr_static(plugin, name, None), "p5_impl") and name not in known:
            return f"Unknown hook '{name}'.{did_you_mean(name, known)} Known hooks: {', '.join(known)}."
    return message


def _faulty_command(commands: list[Any], taken: Collection[str]) -> str | None:
    names = [*taken]
    for command in commands:
        if not isinstance(command, click.Command):
            return f"p5_commands returned {command!r}, which is no click.Command."
        if command.name in names:
            return f"The command '{command.name}' is already taken. Give it another name."
        names.append(str(command.name))
    return None


def _checked(
    kind: str, parts: list[Any], contract: type[PartT], plugin: PluginStatus, known: Mapping[str, PartInfo]
) -> dict[str, PartInfo]:
    """Name → part of what one plugin returned; raises PluginError when one of them breaks its contract."""
    hook = KINDS[kind][0]
    found: dict[str, PartInfo] = {}
    for part in parts:
        _check_contract(part, contract, hook)
        _refuse_duplicate(kind, part, plugin, {**known, **found})
        found[part.name] = PartInfo(kind, part, plugin)
    return found


def _check_contract(part: Any, contract: type[PartT], hook: str) -> None:
    if not (isinstance(part, type) and issubclass(part, contract)):
        raise PluginError(
            f"{hook} returned {part!r}, which is no subclass of {contract.__module__}.{contract.__name__}."
        )
    if not isinstance(getattr(part, "name", None), str):
        raise PluginError(f"{hook} returned {part.__qualname__}, which has no `name`.")
    if not (isinstance(part.Config, type) and issubclass(part.Config, Config)):
        raise PluginError(f"{hook} returned '{part.name}', whose `Config` is no subclass of p5core.Config.")


def _refuse_duplicate(kind: str, part: type[Part], plugin: PluginStatus, found: Mapping[str, PartInfo]) -> None:
    if part.name in found:
        first = found[part.name].plugin
        raise DuplicatePartError(
            f"The {kind} '{part.name}' of {plugin.distribution} (plugin '{plugin.name}') is already brought by "
            f"{first.distribution} (plugin '{first.name}'). Uninstall one of them or rename the part."
        )
