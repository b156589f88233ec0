"""Fields of forms, files that pages may read, drafts, and uploads, as plain functions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field as Bounds

from p5core.config.base import Config, ExpandedPath, PartSpec, parse_config
from p5core.config.document import parse_experiment
from p5core.config.tree import get_value, set_value, to_toml
from p5core.errors import ConfigError, DataError
from p5core.plugins.discovery import load_plugins
from p5core.plugins.hookspecs import hookimpl
from p5core.plugins.kinds import KINDS
from p5core.plugins.registry import Registry
from p5ui.forms.fields import Field, fields_of
from p5ui.workspace import drafts, uploads
from p5ui.workspace.sandbox import data_files, grounded, hold_to_folder, usable_loaders
from p5ui.workspace.workspace import Workspace

TEXT = '[data]\nname = "synthetic"\n'


class Everything(Config):
    """One option of each kind."""

    flag: bool = False
    """A box."""

    maybe: bool | None = None
    """Yes, no or open."""

    whole: int = Bounds(3, ge=1, le=9)
    """A number."""

    share: float = Bounds(0.5, ge=0, lt=1)
    """A slider."""

    kind: Literal["a", "b"] = "a"
    """A choice."""

    words: list[str] = []
    """Many."""

    some: list[Literal["x", "y"]] = ["x"]
    """Some."""

    path: ExpandedPath | None = None
    """A file."""

    bound: float | datetime = 0.8
    """Either."""

    table: dict[str, Any] = {}
    """Anything."""


def fields() -> dict[str, Field]:
    return {one.name: one for one in fields_of(Everything, ("part",))}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins()


@pytest.fixture
def workspace(tmp_path: Path, registry: Registry) -> Workspace:
    return Workspace(tmp_path.resolve(), registry)


def test_the_kind_of_each_option() -> None:
    kinds = {name: one.kind for name, one in fields().items()}
    assert kinds == {
        "flag": "bool", "maybe": "choice", "whole": "int", "share": "float", "kind": "choice", "words": "list",
        "some": "list", "path": "text", "bound": "toml", "table": "toml",
    }  # fmt: skip
    assert fields()["whole"].help == "A number."
    assert (fields()["whole"].low, fields()["whole"].high, fields()["share"].high) == (1, 9, 1)
    assert fields()["kind"].choices == ("a", "b")
    assert fields()["maybe"].choices == ("", "true", "false")
    assert fields()["some"].choices == ("x", "y")


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("flag", True, True), ("maybe", "false", False), ("whole", 4.0, 4), ("share", 0.25, 0.25), ("kind", "b", "b"),
        ("words", ["m", "n"], ["m", "n"]), ("bound", "2024-05-01", "date"), ("table", "{ a = 1 }", {"a": 1}),
    ],
)  # fmt: skip
def test_what_is_typed_is_what_the_experiment_gets(name: str, typed: Any, value: Any) -> None:
    tree = fields()[name].apply({}, typed)
    assert tree["part"][name] == value or str(tree["part"][name]) == "2024-05-01"
    assert fields()[name].show(tree) == typed


def test_what_is_emptied_is_left_out() -> None:
    for name in ("maybe", "path", "whole", "table"):
        shown = None if name == "whole" else ""
        assert fields()[name].apply({"part": {name: 1, "flag": True}}, shown) == {"part": {"flag": True}}


def test_every_field_shows_its_default() -> None:
    shown = {name: one.show({}) for name, one in fields().items()}
    assert shown == {
        "flag": False, "maybe": "", "whole": 3, "share": 0.5, "kind": "a", "words": [], "some": ["x"], "path": "",
        "bound": "0.8", "table": "{  }",
    }  # fmt: skip


def test_text_that_is_no_toml_is_told() -> None:
    with pytest.raises(ConfigError, match="bound: 'soon' is no TOML value"):
        fields()["bound"].apply({}, "soon")


def test_every_option_of_every_part_has_a_field_that_gives_it_back(registry: Registry) -> None:
    for kind in KINDS:
        for name, info in registry.parts(kind).items():
            for field in fields_of(info.part.Config):
                assert field.help, f"{kind} {name}: {field.name} has no help"
                assert field.default is None or field.apply({}, field.show({})).get(field.name, field.default) == (
                    field.default
                )


steps = st.lists(st.sampled_from(["a", "b", 0]), min_size=1, max_size=4).map(tuple)


@given(steps, st.integers())
def test_what_was_put_is_found(place: tuple[str | int, ...], value: int) -> None:
    place = ("top", *place)
    tree = {"other": 1}
    changed = set_value(tree, place, value)
    assert get_value(changed, place) == value
    assert changed["other"] == 1
    assert tree == {"other": 1}
    assert get_value(set_value(changed, place, None), place) is None


def test_loaders_are_held_to_the_folder(workspace: Workspace) -> None:
    (workspace.folder / "in.csv").write_text("user,item\n1,2\n")
    (workspace.folder / "link.csv").symlink_to("/etc/hostname")
    spec = grounded(PartSpec.model_validate({"name": "table", "path": "in.csv"}), workspace)
    assert spec.options["path"] == str(workspace.folder / "in.csv")
    absolute = PartSpec.model_validate({"name": "table", "path": str(workspace.folder / "in.csv")})
    assert grounded(absolute, workspace).options["path"] == str(workspace.folder / "in.csv")
    for path in ("/etc/passwd", "../x.csv", "link.csv", "*.csv", "~", "~/x.csv", "~root/x.csv", "~nobody-here/x"):
        with pytest.raises(ConfigError, match="is not below the working folder"):
            grounded(PartSpec.model_validate({"name": "table", "path": path}), workspace)
    with pytest.raises(ConfigError, match="depends on the environment"):
        grounded(PartSpec.model_validate({"name": "table", "path": "${HOME}/x.csv"}), workspace)
    with pytest.raises(ConfigError, match="'sql' cannot be held to the working folder"):
        grounded(PartSpec.model_validate({"name": "sql", "url": "a.duckdb", "query": "SELECT 1"}), workspace)


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"name": "table", "path": "/etc/passwd"}},
        {"stages": [{"data": {"name": "table", "path": "/etc/passwd"}}]},
        {"data": {"name": "table", "path": "in.csv", "items": "~/items.csv"}},
        {"stages": [{"data": {"name": "table", "path": "~/x.csv"}}]},
        {"stages": [{"from": "~/run"}]},
        {"stages": [{"from": "/etc"}]},
        {"stages": [{"from": "../../etc"}]},
    ],
)
def test_no_part_of_an_experiment_leads_elsewhere(workspace: Workspace, change: dict[str, Any]) -> None:
    experiment = parse_experiment({"data": {"name": "synthetic"}, **change})
    with pytest.raises(ConfigError, match="is not below the working folder"):
        hold_to_folder(experiment, workspace)
    hold_to_folder(parse_experiment({"data": {"name": "synthetic"}}), workspace)


def test_which_loaders_and_files_are_offered(workspace: Workspace) -> None:
    assert {"movielens", "synthetic", "table"} <= set(usable_loaders(workspace.registry))
    assert not {"sql", "dataframe"} & set(usable_loaders(workspace.registry))
    workspace.uploads.mkdir()
    for name in ("uploads/b.csv", "a.parquet", "notes.md"):
        (workspace.folder / name).touch()
    assert data_files(workspace) == ["uploads/b.csv", "a.parquet"]


def test_drafts_are_kept_and_listed(workspace: Workspace) -> None:
    assert drafts.draft_names(workspace) == []
    assert drafts.save_draft(workspace, "mine", TEXT) == "mine"
    (workspace.folder / "examples").mkdir()
    (workspace.folder / "examples" / "one.toml").write_text(TEXT)
    assert drafts.draft_names(workspace) == ["mine", "examples/one"]
    assert drafts.read_draft(workspace, "mine") == drafts.read_draft(workspace, "examples/one") == TEXT
    with pytest.raises(ConfigError, match="There is no draft 'other'"):
        drafts.read_draft(workspace, "other")
    with pytest.raises(ConfigError, match="is not below the working folder"):
        drafts.read_draft(workspace, "../../x")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [("../x", TEXT, "is no name"), ("x", "[data", "not valid TOML"), ("x", "[dta]", "unknown option 'dta'")],
)
def test_what_is_no_draft_is_not_kept(workspace: Workspace, name: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        drafts.save_draft(workspace, name, text)
    assert drafts.draft_names(workspace) == []


@pytest.mark.parametrize("start", list(load_plugins().parts("preset")))
def test_every_preset_begins_a_valid_experiment(workspace: Workspace, start: str) -> None:
    tree = drafts.tree_of(TEXT) | {"prepare": {"keep": "last"}, "model": {"encoders": [{"name": "id"}]}}
    begun = drafts.begun_with(workspace.registry, start, tree)
    experiment = drafts.check(to_toml(begun), workspace)
    assert experiment.data.name == "synthetic"
    assert experiment.prepare.keep == "last"


def test_what_is_written_is_read_back(workspace: Workspace) -> None:
    tree = drafts.begun_with(workspace.registry, "pretrain_finetune", drafts.tree_of(TEXT))
    assert drafts.tree_of(to_toml(tree)) == tree
    assert 'metrics = ["hr@10", ' in to_toml(tree)


def test_faults_of_parts_are_found(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"model\.backbone: unknown option 'layers'"):
        drafts.check(TEXT + '[model]\nbackbone = { name = "gpt", layers = 1 }\n', workspace)


def test_a_plan_holds_the_choices_and_the_estimate(workspace: Workspace) -> None:
    small = TEXT + "n_users = 40\nn_items = 30\nn_events = 500\nn_clusters = 8\n"
    plan = drafts.planned(small, workspace)
    assert any(one.startswith("stage train, task next_item: loss cross_entropy (") for one in plan["choices"])
    assert plan["estimate"]["sentence"].startswith("Estimate for this machine")
    assert plan["estimate"]["seconds"] > 0
    assert any("500 events read" in one for one in plan["sentences"])


def test_an_estimate_that_cannot_be_made_says_why(workspace: Workspace) -> None:
    (workspace.folder / "few.csv").write_text("user,item,time\n1,2,1700000000\n")
    with pytest.raises(ConfigError, match="Nothing is left: of 1 events"):
        drafts.planned('[data]\nname = "table"\npath = "few.csv"\n', workspace)


def test_an_estimate_that_takes_too_long_is_given_up(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "PATIENCE_SECONDS", 0)
    with pytest.raises(ConfigError, match="takes longer than 0 s"):
        drafts.planned(TEXT, workspace)


def test_names_of_runs_that_are_free(workspace: Workspace) -> None:
    assert drafts.free_run_name(workspace, "examples/shop") == "shop"
    assert drafts.free_run_name(workspace, "") == "run"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("log.csv", "log.csv"), ("../../etc/pass wd.csv", "pass_wd.csv"), ("..\\x.csv", "x.csv"), (".csv", "csv"),
        ("日志 1.csv.gz", "日志_1.csv.gz"), ("a" * 300 + ".csv", "a" * 80 + ".csv"), ("///", "file"),
    ],
)  # fmt: skip
def test_names_of_uploads_are_safe(name: str, safe: str) -> None:
    assert uploads.safe_name(name) == safe


def test_uploads_are_kept_once_and_nothing_is_overwritten(workspace: Workspace, tmp_path: Path) -> None:
    arrived = tmp_path / "arrived" / "log.csv"
    arrived.parent.mkdir()
    arrived.write_text("a")
    assert uploads.keep_upload(workspace, arrived) == "uploads/log.csv"
    assert uploads.keep_upload(workspace, arrived) == "uploads/log.csv"
    arrived.write_text("b")
    assert uploads.keep_upload(workspace, arrived) == "uploads/log-2.csv"
    assert (workspace.uploads / "log.csv").read_text() == "a"


def test_uploads_that_are_refused(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = tmp_path / "log.csv"
    arrived.touch()
    with pytest.raises(DataError, match=r"log\.csv is empty"):
        uploads.keep_upload(workspace, arrived)
    monkeypatch.setattr(uploads, "MAX_BYTES", 1)
    arrived.write_text("too much")
    with pytest.raises(DataError, match="may be uploaded"):
        uploads.keep_upload(workspace, arrived)


def test_a_plugin_brings_its_options(registry: Registry) -> None:
    class Other(registry.get("loader", "synthetic")):  # type: ignore[misc]
        name = "other"
        Config = Everything

    extended = load_plugins([("mine", SimpleNamespace(p5_loaders=hookimpl(specname="p5_loaders")(lambda: [Other])))])
    assert "other" in usable_loaders(extended)
    assert parse_config(Everything, {}, "other") == Everything()
