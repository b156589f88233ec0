"""Plugins as real distributions on the path: healthy ones work, and each faulty one stands alone."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from installed import TRACKER, Install, hook, install, p5, row, status

from p5core.config.base import PartSpec
from p5core.contracts.part import Part
from p5core.errors import ConfigError, DuplicatePartError, UnknownPartError
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.kinds import KINDS
from p5core.plugins.status import PluginStatus


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
        UnknownPartError, match=r"Unknown backbone 'brt'. Did you mean 'bert'\? Installed: bag, bert, filter"
    ):
        load_plugins().get("backbone", "brt")


def test_an_unknown_part_names_the_plugins_that_failed(install: Install) -> None:
    install("p5_broken", "import no_such_module_anywhere")
    with pytest.raises(UnknownPartError, match=r"Plugins that failed: p5_broken\. Run 'p5 plugins list'"):
        load_plugins().get("backbone", "sasrec")


__all__ = ["install"]

TASK = """
    from p5core import FollowingTask, Output, hookimpl

    class Tide(FollowingTask):
        name = "tide"
        metrics = ("ndcg@10",)

        def loss(self, network, batch):
            return None

    @hookimpl
    def p5_tasks():
        return [Tide]
"""

SCORER = """
    from p5core import Scorer, hookimpl

    class Ebb(Scorer):
        name = "ebb"

        def fit(self, events, catalogue):
            return None

        def scores(self, users, histories):
            return None

        def state(self):
            return {}

    @hookimpl
    def p5_scorers():
        return [Ebb]
"""

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
        "p5_trackers returned two parts called 'wave'. Rename one of them.",
    ),
    "another version": (
        "P5_API_VERSION = 1\n" + dedent(TRACKER),
        "It was written for version 1 of the plugin API; this P5 has version 2. Install a release of the plugin",
    ),
    "no hook": ("def p5_trackers():\n    return []", "It implements no hook. Mark its functions with @hookimpl"),
    "abstract": (
        TRACKER.replace("def log(self, event):", "def write(self, event):"),
        "p5_trackers returned Wave, which does not define `log`.",
    ),
    "method without its argument": (
        TRACKER.replace("def log(self, event):", "def log(self):"),
        "whose `log(self)` does not take the arguments (self, event).",
    ),
    "constructor without its argument": (
        TRACKER.replace("def log(self, event):", "def __init__(self, config): ...\n\n    def log(self, event):"),
        "whose `__init__(self, config)` does not take the arguments (self, config, folder).",
    ),
    "kind of loss that is none": (
        TASK.replace('name = "tide"', 'name = "tide"; loss_kind = "pairs"'),
        "whose `loss_kind` is 'pairs'. Allowed: ranking, value, probability.",
    ),
    "output with a name of the graph": (
        TASK.replace('name = "tide"', 'name = "tide"; outputs = {"items": Output("value", "rating")}'),
        "whose output is called 'items'.",
    ),
    "half of a stored form": (SCORER, "which defines one of `state` and `restore`. Define both, or neither."),
    "name with a capital": (TRACKER.replace('"wave"', '"Wave"'), "whose name 'Wave' is not allowed. Use lower-case"),
    "reserved name": (TRACKER.replace('"wave"', '"auto"'), "whose name 'auto' is not allowed"),
    "options that take anything": (
        TRACKER.replace("size: int = 3", "model_config = {'frozen': True, 'extra': 'allow'}"),
        "whose `Config` is not frozen, or accepts unknown options",
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
    assert ("wave" in registry.parts("tracker")) is ("two parts" in fault)


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


def test_a_bad_part_does_not_take_its_neighbours_with_it(install: Install) -> None:
    install("p5_mixed", dedent(TRACKER).replace("[Wave]", "[7, Wave, int]"))
    registry = load_plugins()
    assert "wave" in registry.parts("tracker")
    assert len(registry.failures()[0].faults) == 2


def test_a_name_of_two_distributions_belongs_to_neither(install: Install) -> None:
    install("p5_wave", TRACKER)
    install("p5_tide", TRACKER)
    registry = load_plugins()
    with pytest.raises(
        DuplicatePartError, match=r"provided by 2 distributions. Write 'p5-tide/wave' or 'p5-wave/wave'"
    ):
        registry.get("tracker", "wave")
    for distribution in ("p5-tide", "p5-wave"):
        chosen = registry.choose("tracker", PartSpec(name=f"{distribution}/wave"))
        assert chosen.part.__module__ == distribution.replace("-", "_")
    assert {"p5-tide/wave", "p5-wave/wave"} < set(registry.parts("tracker"))
    assert not registry.failures()


def test_built_in_parts_keep_their_names(install: Install) -> None:
    install("p5_rival", TRACKER.replace('"wave"', '"csv"'))
    registry = load_plugins()
    listed = {one["name"] for one in json.loads(p5("plugins", "list", "--json").stdout)["parts"]}
    assert {"csv", "p5-rival/csv"} < listed, "the list says by which name each is chosen"
    assert registry.info("tracker", "csv").plugin.name == "builtin"
    assert registry.get("tracker", "p5-rival/csv").__module__ == "p5_rival"
    assert registry.get("tracker", "p5rec/csv") is registry.get("tracker", "csv")


def test_what_a_plugin_prints_does_not_stand_in_the_output(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    install("p5_loud", "print('hello')\n" + dedent(TRACKER).replace("return [Wave]", "print('again'); return [Wave]"))
    shown = p5("plugins", "list", "--json")
    assert {one["name"] for one in json.loads(shown.stdout)["plugins"]} >= {"p5_loud"}
    assert "again" in shown.stderr
    printed = capsys.readouterr()
    assert ("hello" in printed.out, "hello" in printed.err) == (False, True)


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
    class Mine:
        @hookimpl
        def p5_trackers(self) -> list[type[Part]]:
            return []

    registry = load_plugins([("mine", Mine())])
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


def test_a_preset_that_cannot_be_read_writes_nothing(install: Install, tmp_path: Path) -> None:
    install(
        "p5_torn",
        """
        from p5core import Preset, hookimpl

        class Torn(Preset):
            'Ends too soon.'

            name = "torn"

            def sections(self, dataset):
                return "[model"

        @hookimpl
        def p5_presets():
            return [Torn]
        """,
    )
    data = tmp_path / "log.csv"
    data.write_text("user,item,time\n" + "".join(f"{n % 5},{n % 7},{n}\n" for n in range(40)))
    result = p5("init", str(data), "--preset", "torn", "--output", str(tmp_path / "log.toml"))
    assert result.exit_code == 1
    assert "preset torn" in result.output
    assert not (tmp_path / "log.toml").exists()
