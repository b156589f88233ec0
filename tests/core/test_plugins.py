"""Plugins as real distributions on the path: healthy ones work, and each faulty one stands alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from p5core.cli import build
from p5core.config.base import PartSpec
from p5core.errors import ConfigError, UnknownPartError
from p5core.plugins.registry import KINDS, PluginStatus, load_plugins

Install = Callable[..., None]

TRACKER = """
    from p5core.config.base import Config
    from p5core.plugins.hookspecs import hookimpl
    from p5core.contracts.tracker import Tracker

    class Options(Config):
        size: int = 3
        '''How much.'''

    class Wave(Tracker):
        '''Draws waves.'''

        name = "wave"
        Config = Options

        def log(self, event):
            return None

    @hookimpl
    def p5_trackers():
        return [Wave]
"""

HOOK = """
    from p5core.plugins.hookspecs import hookimpl

    @hookimpl
    def {hook}({arguments}):
        {body}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with one module and one entry point on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def put(module: str, source: str, entry: str | None = None, distribution: str | None = None) -> None:
        name = distribution or module.replace("_", "-")
        info = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[p5]\n{entry or module} = {module}\n")
        (tmp_path / f"{module}.py").write_text(dedent(source))
        modules.append(module)

    yield put
    for module in modules:
        sys.modules.pop(module, None)


def hook(name: str, body: str, arguments: str = "") -> str:
    return dedent(HOOK).format(hook=name, body=body, arguments=arguments)


def status(name: str) -> PluginStatus:
    return next(plugin for plugin in load_plugins().plugins if plugin.name == name)


def p5(*arguments: str) -> Result:
    return CliRunner().invoke(build(load_plugins()), arguments)


def row(shown: Result, word: str) -> list[str]:
    """The cells of the first row of a printed table that has a word."""
    line = next(line for line in shown.stdout.splitlines() if "│" in line and word in line)
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_the_built_ins_come_through_the_entry_point() -> None:
    registry = load_plugins()
    first = registry.plugins[0]
    assert (first.name, first.distribution, first.state) == ("builtin", "p5rec", "ok")
    assert all(registry.parts(kind) for kind in KINDS)


def test_a_healthy_plugin_is_one_more_part(install: Install) -> None:
    install("p5_wave", TRACKER)
    registry = load_plugins()
    info = registry.parts("tracker")["wave"]
    assert (info.plugin.distribution, info.plugin.version, info.plugin.state) == ("p5-wave", "1.2", "ok")
    chosen = registry.choose("tracker", PartSpec.model_validate({"name": "wave", "size": 5}))
    assert chosen.build(None).config.size == 5


def test_options_of_a_part_are_checked(install: Install) -> None:
    install("p5_wave", TRACKER)
    with pytest.raises(ConfigError, match=r"tracker wave: unknown option 'sise'. Did you mean 'size'\?"):
        load_plugins().choose("tracker", PartSpec.model_validate({"name": "wave", "sise": 5}))


def test_an_unknown_part_names_the_installed_ones() -> None:
    with pytest.raises(
        UnknownPartError, match=r"Unknown backbone 'brt'. Did you mean 'bert'\? Installed: bert, filter"
    ):
        load_plugins().get("backbone", "brt")


def test_an_unknown_part_names_the_plugins_that_failed(install: Install) -> None:
    install("p5_broken", "import no_such_module_anywhere")
    with pytest.raises(UnknownPartError, match=r"Plugins that failed: p5_broken\. Run 'p5 plugins list'"):
        load_plugins().get("backbone", "sasrec")


FAULTS = {
    "import error": (
        "import no_such_module_anywhere",
        "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
    ),
    "exit": ("raise SystemExit('stop')", "SystemExit: stop"),
    "hook that raises": (hook("p5_trackers", "return 1 / 0"), "ZeroDivisionError"),
    "nothing returned": (hook("p5_trackers", "return None"), "p5_trackers returned None; it must return a list."),
    "wrong class": (hook("p5_trackers", "return [int]"), "is no subclass of p5core.contracts.tracker.Tracker."),
    "no class": (hook("p5_trackers", "return [7]"), "p5_trackers returned 7, which is no subclass of"),
    "misspelt hook": (hook("p5_tracker", "return []"), "Unknown hook 'p5_tracker'. Did you mean 'p5_trackers'?"),
    "argument too many": (
        hook("p5_trackers", "return []", "registry"),
        "Argument(s) {'registry'} are declared in the hookimpl",
    ),
    "no command": (
        hook("p5_commands", "return [print]"),
        "p5_commands returned <built-in function print>, which is no click",
    ),
    "no name": (TRACKER.replace('name = "wave"', ""), "p5_trackers returned Wave, which has no `name`."),
    "wrong options": (
        TRACKER.replace("Config = Options", "Config = dict"),
        "whose `Config` is no subclass of p5core.Config.",
    ),
    "twice in one plugin": (
        TRACKER.replace("[Wave]", "[Wave, Wave]"),
        "The tracker 'wave' of p5-bad (plugin 'p5_bad') is already brought",
    ),
    "name of a built-in": (
        TRACKER.replace('"wave"', '"csv"'),
        "The tracker 'csv' of p5-bad (plugin 'p5_bad') is already brought by p5rec (plugin 'builtin').",
    ),
}


@pytest.mark.parametrize(("source", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_plugin_fails_alone(install: Install, source: str, fault: str) -> None:
    install("p5_bad", source)
    install("p5_wave", TRACKER.replace('"wave"', '"other"'))
    registry = load_plugins()
    registry.commands()
    states = {plugin.name: plugin for plugin in registry.plugins}
    assert fault in (states["p5_bad"].fault or "")
    assert states["p5_bad"].state == "failed"
    assert states["builtin"].state == states["p5_wave"].state == "ok"
    assert "other" in registry.parts("tracker")
    assert registry.parts("tracker")["csv"].plugin.name == "builtin"
    assert "wave" not in registry.parts("tracker")


def test_hooks_found_before_a_faulty_one_are_taken_back(install: Install) -> None:
    install("p5_half", dedent(TRACKER) + hook("p5_metrics", "return []", "wrong"))
    registry = load_plugins()
    assert "wave" not in registry.parts("tracker")
    assert "p5_metrics" in (registry.failures()[0].fault or "")


def test_the_other_kinds_of_a_plugin_with_one_faulty_hook_stay(install: Install) -> None:
    install("p5_mixed", dedent(TRACKER) + hook("p5_metrics", "return 1 / 0"))
    registry = load_plugins()
    assert [plugin.name for plugin in registry.plugins if plugin.fault] == ["p5_mixed"]
    assert "wave" in registry.parts("tracker")


def test_a_plugin_whose_attributes_raise_fails_alone(install: Install) -> None:
    lazy = "def __dir__():\n    return ['a_thing', 'p5_tracker']\n\ndef __getattr__(name):\n    import no_such_module\n"
    install("p5_lazy", lazy + hook("p5_tracker", "return []"))
    registry = load_plugins()
    assert [plugin.name for plugin in registry.plugins if plugin.fault] == ["p5_lazy"]
    assert "Unknown hook 'p5_tracker'. Did you mean 'p5_trackers'?" in (registry.failures()[0].fault or "")


def test_what_cannot_be_looked_at_fails_alone() -> None:
    class Opaque:
        def __dir__(self) -> list[str]:
            raise RuntimeError("nothing to see")

    registry = load_plugins([("mine", Opaque())])
    assert [plugin.name for plugin in registry.plugins if plugin.fault] == ["mine"]
    assert "RuntimeError: nothing to see" in (registry.failures()[0].fault or "")


def test_a_damaged_installation_is_listed_as_unknown(install: Install, tmp_path: Path) -> None:
    install("p5_wave", TRACKER)
    install("p5_bad", "import no_such_module_anywhere")
    for metadata in tmp_path.glob("*.dist-info/METADATA"):
        metadata.write_text("")
    shown = p5("plugins", "list")
    assert shown.exit_code == 0
    assert row(shown, "wave") == ["tracker", "wave", "unknown", "unknown", "ok"]
    assert "p5_bad (unknown unknown) failed:" in shown.stdout


def test_two_faults_of_one_plugin_are_both_told(install: Install) -> None:
    install("p5_bad", hook("p5_trackers", "return 1 / 0") + hook("p5_metrics", "return None"))
    fault = status("p5_bad").fault or ""
    assert "ZeroDivisionError" in fault
    assert "p5_metrics returned None" in fault


def test_two_distributions_may_use_one_entry_point_name(install: Install) -> None:
    install("p5_wave", TRACKER, entry="mine")
    install("p5_tide", TRACKER.replace('"wave"', '"tide"'), entry="mine")
    registry = load_plugins()
    brought = {name: info.plugin.distribution for name, info in registry.parts("tracker").items()}
    assert (brought["wave"], brought["tide"]) == ("p5-wave", "p5-tide")
    assert not registry.failures()


def test_one_module_in_two_distributions_is_loaded_once(install: Install, tmp_path: Path) -> None:
    install("p5_wave", TRACKER, distribution="p5-first")
    install("p5_wave", TRACKER, distribution="p5-second")
    registry = load_plugins()
    assert registry.parts("tracker")["wave"].plugin.distribution in ("p5-first", "p5-second")
    assert [one.fault for one in registry.failures()] == [
        "Another plugin names the same module; the second one was not loaded."
    ]


def test_an_object_can_be_a_plugin_from_python() -> None:
    class Nothing:
        pass

    registry = load_plugins([("mine", Nothing())])
    assert registry.plugins[-1] == PluginStatus("mine", "mine", "local")


def test_the_list_shows_parts_and_tracebacks(install: Install) -> None:
    install("p5_bad", hook("p5_trackers", "return 1 / 0"))
    install("p5_wave", TRACKER)
    shown = p5("plugins", "list")
    assert shown.exit_code == 0
    assert shown.stderr == ""
    assert row(shown, "wave") == ["tracker", "wave", "p5-wave", "1.2", "ok"]
    assert row(shown, "p5_bad") == ["plugin", "p5_bad", "p5-bad", "1.2", "failed"]
    assert "p5_bad (p5-bad 1.2) failed:\nTraceback (most recent call last):" in shown.stdout
    assert "ZeroDivisionError: division by zero" in shown.stdout


def test_the_list_as_json(install: Install) -> None:
    install("p5_bad", "import no_such_module_anywhere")
    install("p5_wave", TRACKER)
    listed = json.loads(p5("plugins", "list", "--json").stdout)
    assert {
        "kind": "tracker",
        "name": "wave",
        "plugin": "p5_wave",
        "distribution": "p5-wave",
        "version": "1.2",
        "state": "ok",
        "about": "Draws waves.",
    } in listed["parts"]
    failed = [one for one in listed["plugins"] if one["state"] == "failed"]
    assert [(one["name"], one["distribution"]) for one in failed] == [("p5_bad", "p5-bad")]
    assert "ModuleNotFoundError" in failed[0]["fault"]


def test_other_commands_warn_of_a_failed_plugin_in_one_line(install: Install, tmp_path: Path) -> None:
    install("p5_bad", "import no_such_module_anywhere")
    shown = p5("runs", "list", "--runs", str(tmp_path / "runs"))
    assert shown.exit_code == 0
    assert shown.stderr == "Warning: plugin 'p5_bad' failed to load; see 'p5 plugins list'.\n"


COMMAND = """
    import click
    from p5core.errors import DataError
    from p5core.plugins.hookspecs import hookimpl

    @click.command({name!r})
    def command():
        '''Say hello.'''
        {body}

    @hookimpl
    def p5_commands():
        return [command]
"""


def command(name: str, body: str) -> str:
    return dedent(COMMAND).format(name=name, body=body)


def test_a_plugin_adds_a_command(install: Install) -> None:
    install("p5_hello", command("hello", "click.echo('hello')"))
    assert p5("hello").stdout == "hello\n"
    assert row(p5("plugins", "list"), "p5_hello") == ["plugin", "p5_hello", "p5-hello", "1.2", "ok"]
    assert "Say hello." in p5("--help").stdout


def test_a_command_cannot_take_the_place_of_another(install: Install) -> None:
    install("p5_rival", command("run", "click.echo('not the real one')"))
    assert "Train and evaluate" in p5("run", "--help").stdout
    shown = p5("plugins", "list").stdout
    assert "The command 'run' is already taken. Give it another name." in shown


def test_a_deliberate_error_is_one_sentence_and_exit_code_1(install: Install) -> None:
    install("p5_hello", command("hello", "raise DataError('Row 3 is empty.')"))
    shown = p5("hello")
    assert (shown.exit_code, shown.stderr) == (1, "Error: Row 3 is empty.\n")


def test_an_interrupt_is_exit_code_130(install: Install) -> None:
    install("p5_hello", command("hello", "raise KeyboardInterrupt('Saved.')"))
    shown = p5("hello")
    assert (shown.exit_code, shown.stderr) == (130, "Saved.\n")


def test_wrong_usage_is_exit_code_2() -> None:
    shown = p5("plugins", "lst")
    assert shown.exit_code == 2
    assert "No such command 'lst'" in shown.stderr


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    import p5core

    assert p5("--version").stdout == f"p5, version {version('p5rec')}\n"
    assert p5core.__version__ == version("p5rec")


def test_a_markdown_table_escapes_what_would_end_a_cell(install: Install) -> None:
    install("p5_wave", TRACKER.replace("Draws waves.", "Draws |x| of\n        waves. More."))
    assert "| tracker | `wave` | Draws \\|x\\| of waves. |" in p5("plugins", "list", "--markdown").stdout
