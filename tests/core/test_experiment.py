"""The experiment file: reading, overriding, writing."""

from __future__ import annotations

import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from p5core.config.document import dump_experiment, load_experiment, parse_experiment
from p5core.config.experiment import Experiment
from p5core.config.tree import override
from p5core.errors import ConfigError

DATA = {"data": {"name": "movielens"}}


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_loader_is_all_that_must_be_said(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, '[data]\nname = "movielens"\n'))
    assert experiment == parse_experiment(DATA)
    assert experiment.split.name == "auto"
    assert [task.name for task in experiment.stages[0].tasks] == ["auto"]


def test_assignments_override_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[data]\nname = "movielens"\n[model]\nwidth = 8\nmax_length = 9\n')
    experiment = load_experiment(path, ["model.width=128", "model.backbone.name=bert", "model.backbone.n_layers=4"])
    assert (experiment.model.width, experiment.model.max_length) == (128, 9)
    assert experiment.model.backbone.name == "bert"
    assert experiment.model.backbone.options == {"n_layers": 4}


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("seed=3", {"seed": 3}),
        (" seed = 3 ", {"seed": 3}),
        ("a.b.c=x", {"a": {"b": {"c": "x"}}}),
        ("a=true", {"a": True}),
        ("a='true'", {"a": "true"}),
        ("a=1e-3", {"a": 1e-3}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ('a={name = "x"}', {"a": {"name": "x"}}),
        ("a=2011-09-01", {"a": datetime(2011, 9, 1).date()}),
        ("a=s3://x?y=z", {"a": "s3://x?y=z"}),
        ("a=", {"a": ""}),
        ("l.1.x=5", {"l": [{"x": 1}, {"x": 5}]}),
        ("l.0=5", {"l": [5, {"x": 2}]}),
        ("l.2.x=5", {"l": [{"x": 1}, {"x": 2}, {"x": 5}]}),
        ("new.0.x=5", {"new": [{"x": 5}]}),
        ("new.0=hr@5", {"new": ["hr@5"]}),
    ],
)
def test_assignments(assignment: str, expected: dict[str, Any]) -> None:
    tree = {"l": [{"x": 1}, {"x": 2}]}
    assert override(tree, assignment) == {**tree, **expected}
    assert tree == {"l": [{"x": 1}, {"x": 2}]}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seed", r"--set seed: expected key=value, such as model\.width=128\."),
        ("=3", r"--set =3: expected key=value"),
        ("l.3=1", r"--set l\.3=1: '3' is no place in a list of 2\."),
        ("l.x=1", r"--set l\.x=1: 'x' is no place in a list of 2\."),
        ("l.0.x.y=1", r"--set l\.0\.x\.y=1: 'y' lies below a plain value\."),
    ],
)
def test_an_assignment_that_leads_nowhere_is_an_error(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override({"l": [{"x": 1}, {"x": 2}]}, assignment)


def test_a_stage_that_the_file_does_not_spell_out_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path, '[data]\nname = "movielens"\n')
    stages = load_experiment(path, ["stages.0.from=runs/old", "stages.0.epochs=2"]).stages
    assert [(stage.from_run, stage.epochs) for stage in stages] == [("runs/old", 2)]


def test_a_typo_names_the_file_and_the_place(tmp_path: Path) -> None:
    path = write(tmp_path, '[data]\nname = "movielens"\n[[stages]]\noptimiser = { learning_rat = 1 }\n')
    with pytest.raises(ConfigError, match=r"mine\.toml\.stages\.0\.optimiser: .* Did you mean 'learning_rate'\?"):
        load_experiment(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no experiment file .*none\.toml\. Write one with 'p5 init DATA'"):
        load_experiment(tmp_path / "none.toml")


def test_a_folder_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory\."):
        load_experiment(tmp_path)


@pytest.mark.parametrize("content", [b"[data\n", b"\xff\xfe"])
def test_what_is_no_toml_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.toml is not valid TOML: "):
        load_experiment(tmp_path / "mine.toml")


keys = st.text("abcdefg_", min_size=1, max_size=6).filter(lambda key: key not in ("name", "weight", "loss"))
plain = st.one_of(
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.datetimes(),
    st.dates(),
)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
parts = st.dictionaries(keys, values, max_size=4).map(lambda options: {"name": "some", **options})
dates = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1))
splits = st.one_of(
    st.just({"name": "leave_one_out"}),
    st.builds(lambda first, last: {"name": "time", "validation": first, "test": last}, dates, dates),
    st.builds(lambda share: {"name": "by_user", "held_out": share}, st.floats(0.01, 0.99)),
)
stages = st.fixed_dictionaries(
    {"tasks": st.lists(parts, min_size=1, max_size=2)},
    optional={"epochs": st.integers(1, 99), "from": st.text("abc/"), "data": parts, "watch": st.just("ndcg@10")},
)
trees = st.fixed_dictionaries(
    {"data": parts},
    optional={
        "seed": st.integers(0, 2**31),
        "split": splits,
        "model": st.fixed_dictionaries({"backbone": parts, "encoders": st.lists(parts, min_size=1, max_size=2)}),
        "stages": st.lists(stages, min_size=1, max_size=2),
        "trackers": st.lists(parts, max_size=2),
    },
)


@given(trees)
def test_what_is_written_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]) -> None:
    experiment = parse_experiment(tree)
    path = write(tmp_path_factory.getbasetemp(), dump_experiment(experiment))
    assert load_experiment(path) == experiment


@given(trees)
def test_a_tree_and_its_toml_are_the_same(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]) -> None:
    path = write(tmp_path_factory.getbasetemp(), tomli_w.dumps(tree))
    assert load_experiment(path) == parse_experiment(tree)


def test_everything_is_spelt_out_when_written() -> None:
    text = dump_experiment(Experiment.model_validate(DATA))
    for option in ("seed", "learning_rate", "max_length", "baselines", "min_user_events"):
        assert f"\n{option} = " in f"\n{text}"


def test_what_no_file_can_hold_is_left_out() -> None:
    frame = pd.DataFrame({"user": [1]})
    data = {"name": "dataframe", "interactions": frame, "path": Path("/a/b"), "several": [None, (1, 2)]}
    written = tomllib.loads(dump_experiment(parse_experiment({"data": data})))
    assert written["data"] == {"name": "dataframe", "path": "/a/b", "several": [[1, 2]]}


EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P5_DATA", os.environ.get("P5_DATA", "/data"))
    assert load_experiment(path).data.name
