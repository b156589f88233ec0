"""Finding and importing plugins.

Plugins are loaded one by one: one that cannot be imported, misspells a hook or was written for another version becomes
a row with its fault, and everything else keeps working.
"""

from __future__ import annotations

import inspect
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from p5core.errors import did_you_mean
from p5core.plugins import hookspecs
from p5core.plugins.registry import Registry
from p5core.plugins.status import BUILT_IN, PluginStatus

__all__ = ["GROUP", "load_plugins", "with_plugin"]

GROUP = "p5"
"""The entry point group that plugins register in."""

Source = EntryPoint | object


def load_plugins(extra: Iterable[tuple[str, object]] = ()) -> Registry:
    """Load every plugin of the entry point group `p5`, then the `extra` (name, module or object) pairs."""
    manager = pluggy.PluginManager("p5")
    manager.add_hookspecs(hookspecs)
    sources: list[tuple[PluginStatus, Source]] = [
        (_status(entry), entry) for entry in sorted(entry_points(group=GROUP), key=_built_ins_first)
    ]
    sources += [(PluginStatus(name, name, "local"), plugin) for name, plugin in extra]
    return Registry(manager, [_registered(manager, status, source) for status, source in sources])


def _status(entry: EntryPoint) -> PluginStatus:
    return PluginStatus(entry.name, _fact(entry, "Name"), _fact(entry, "Version"))


def _fact(entry: EntryPoint, key: str) -> str:
    """One field of a distribution's metadata; empty for a damaged installation."""
    if entry.dist is None or key not in entry.dist.metadata:
        return "unknown"
    return entry.dist.metadata[key]


def _built_ins_first(entry: EntryPoint) -> tuple[bool, str]:
    return (_status(entry).distribution != BUILT_IN, entry.name)


def _registered(manager: pluggy.PluginManager, status: PluginStatus, source: Source) -> PluginStatus:
    """Import a plugin and register its hooks; the status says what went wrong."""
    began = time.perf_counter()
    try:
        with redirect_stdout(sys.stderr):  # what a plugin prints must not stand in machine-readable output
            plugin = source.load() if isinstance(source, EntryPoint) else source
    except (Exception, SystemExit) as error:
        return replace(status, faults=(_import_fault(error),), seconds=time.perf_counter() - began)
    status = replace(status, seconds=time.perf_counter() - began)
    try:
        fault = _fault_before(manager, plugin) or _register(manager, plugin, status.key)
    except Exception:  # the plugin's own `__dir__` or `__getattr__`
        fault = traceback.format_exc()
    return replace(status, faults=(fault,)) if fault else status


def _import_fault(error: BaseException) -> str:
    """The traceback from the plugin's first line on, and what to install when a package is missing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    text = "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)]).rstrip()
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return (
            f"It needs the module '{package}', which is not installed; its package may have the same name: "
            f"pip install {package}.\n{text}"
        )
    return text


def _is_machinery(filename: str) -> bool:
    return filename == __file__ or "importlib" in filename


def _fault_before(manager: pluggy.PluginManager, plugin: Any) -> str | None:
    """The reason why a plugin is not registered; None if it may be."""
    api_version = inspect.getattr_static(plugin, hookspecs.API_VERSION_NAME, hookspecs.API_VERSION)
    if api_version != hookspecs.API_VERSION:
        return (
            f"It was written for version {api_version!r} of the plugin API; this P5 has version "
            f"{hookspecs.API_VERSION}. Install a release of the plugin that fits, or another P5."
        )
    if manager.is_registered(plugin):
        return "Another plugin names the same module; the second one was not loaded."
    if not any(_is_marked(plugin, name) for name in dir(plugin)):
        return "It implements no hook. Mark its functions with @hookimpl, as in docs/plugins.md."
    return None


def _is_marked(plugin: Any, name: str) -> bool:
    return hasattr(inspect.getattr_static(plugin, name, None), "p5_impl")


def _register(manager: pluggy.PluginManager, plugin: Any, key: str) -> str | None:
    """Register the hooks; returns the fault of one that is misspelt or has wrong arguments."""
    try:
        manager.register(plugin, key)
        manager.check_pending()
    except Exception as error:
        manager.unregister(name=key)  # pluggy may keep hooks that it had found before the faulty one
        is_refused = isinstance(error, pluggy.PluginValidationError)
        return _misspelt(plugin, str(error)) if is_refused else traceback.format_exc()
    return None


def _misspelt(plugin: object, message: str) -> str:
    hooks = [name for name in hookspecs.__all__ if name.startswith("p5_")]
    for name in dir(plugin):
        if _is_marked(plugin, name) and name not in hooks:
            return f"Unknown hook '{name}'.{did_you_mean(name, hooks)} Known hooks: {', '.join(hooks)}."
    return message


def with_plugin(registry: Registry, name: str, plugin: object) -> Registry:
    """A registry with one plugin more; the other one stays as it is."""
    manager = pluggy.PluginManager("p5")
    manager.add_hookspecs(hookspecs)
    for key, registered in registry.manager.list_name_plugin():
        manager.register(registered, key)
    status = PluginStatus(name, name, "local")
    return Registry(manager, [*registry.known_plugins, _registered(manager, status, plugin)])
