"""A run with events of several domains answers alike from Python, the command line and its export."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import p5core
from p5core.cli import build
from p5core.config.document import parse_experiment
from p5core.config.experiment import Experiment
from p5core.errors import DataError, ExportError
from p5core.plugins.registry import Registry
from p5core.workflows.recommend import Recommender
from p5export.export import export_run
from p5export.runtime import OnnxRecommender


def experiment(prefixes: tuple[str, str]) -> Experiment:
    rows = [
        (f"u{user}", f"{prefix}{(user * 3 + step) % 12}", domain)
        for user in range(40)
        for prefix, domain in zip(prefixes, ("films", "books"), strict=True)
        for step in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["user", "item", "domain"])
    return parse_experiment(
        {
            "data": {"name": "dataframe", "interactions": frame, "domain_column": "domain"},
            "model": {"width": 8, "max_length": 6},
            "stages": [{"epochs": 2}],
            "evaluate": {"resamples": 0},
        }
    )


@pytest.fixture(scope="module")
def apart(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    return p5core.run(experiment(("f", "b")), tmp_path_factory.mktemp("runs"), "apart", registry)


@pytest.fixture(scope="module")
def shared(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> p5core.Run:
    return p5core.run(experiment(("i", "i")), tmp_path_factory.mktemp("runs"), "shared", registry)


@pytest.mark.parametrize("history", [["b1", "b2"], ["f1"], ["f3", "b2", "nobody"], []])
def test_the_export_the_api_and_the_command_agree(
    history: list[str], apart: p5core.Run, registry: Registry, tmp_path: Path
) -> None:
    model = OnnxRecommender(export_run(apart, tmp_path / "export", registry, say=lambda text: None).folder)
    recommender = Recommender.load(apart, registry)
    exported = model.recommend(history, 8)
    found = recommender.recommend(history, 8)
    assert [one.item for one in found] == [one.item for one in exported]
    assert [one.score for one in found] == pytest.approx([one.score for one in exported], abs=1e-4)
    assert {one.domain for one in found} <= {"films", "books"}
    assert recommender.unknown(history) == [one for one in history if one == "nobody"]
    assert recommender.score(history, ["b5", "f5"]) == pytest.approx(model.score(history, ["b5", "f5"]), abs=1e-4)
    said = CliRunner().invoke(
        build(registry), ["recommend", str(apart.path), "--history", ",".join(history), "-k", "8", "--json"]
    )
    listed = json.loads(said.stdout)
    assert [one["item"] for one in listed] == [one.item for one in found]


def test_a_history_of_any_domain_counts(apart: p5core.Run, registry: Registry) -> None:
    recommender = Recommender.load(apart, registry)
    nobody, films, books = ([one.item for one in recommender.recommend(history, 8)] for history in ([], ["f1"], ["b1"]))
    assert nobody != films != books != nobody


def test_a_shared_id_needs_its_domain(shared: p5core.Run, registry: Registry, tmp_path: Path) -> None:
    recommender = Recommender.load(shared, registry)
    with pytest.raises(DataError, match=r"The id 'i1' names an item of each of the domains 'books' and 'films'. Name"):
        recommender.recommend(["i1"])
    films, books = (recommender.recommend(["i1"], 5, domain=domain) for domain in ("films", "books"))
    assert [one.score for one in films] != [one.score for one in books]
    with pytest.raises(ExportError, match="The domains books, films share raw ids"):
        export_run(shared, tmp_path / "export", registry, say=lambda text: None)
    arguments = ["recommend", str(shared.path), "--history", "i1", "--json"]
    refused = CliRunner().invoke(build(registry), arguments)
    assert (refused.exit_code, "Name the domain" in refused.output) == (1, True)
    answered = CliRunner().invoke(build(registry), [*arguments, "--domain", "books", "-k", "5"])
    assert [one["score"] for one in json.loads(answered.stdout)] == pytest.approx([one.score for one in books])
    unknown = CliRunner().invoke(build(registry), [*arguments, "--domain", "songs"])
    assert "Unknown domain 'songs'. Known: " in unknown.output
