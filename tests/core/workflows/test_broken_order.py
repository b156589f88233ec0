"""A warning where a split destroys the order that a model reads."""

from __future__ import annotations

import pytest
from support import SMALL, experiment_of

from p5core.fitting.experiment_data import broken_order
from p5core.plugins.discovery import load_plugins
from p5core.workflows.train import plan_run

REGISTRY = load_plugins()
ALONE = SMALL.split("[model]")[0] + """[model]\nscorer = "ease"\n[evaluate]\nresamples = 10\n"""


def warned(text: str, *settings: str) -> list[str]:
    sentences = plan_run(experiment_of(text, *settings), registry=REGISTRY).data.sentences
    return [sentence for sentence in sentences if "out of the middle of histories" in sentence]


@pytest.mark.parametrize(
    ("settings", "readers"),
    [
        (["split.name=random"], "backbone 'gpt'"),
        (["split.name=random", 'model.blend=[{name="markov"}]'], "backbone 'gpt', scorer 'markov'"),
        (["split.name=random", 'model.blend=[{name="ease"}]', "model.backbone.name=gru"], "backbone 'gru'"),
    ],
)
def test_what_reads_an_order_is_named(settings: list[str], readers: str) -> None:
    (sentence,) = warned(SMALL.replace(", n_layers = 1", ""), *settings)
    assert f"and {readers} would learn from what is left" in sentence
    assert "split.name = 'leave_one_out' or 'time'" in sentence


def test_what_reads_none_is_no_reason() -> None:
    assert warned(ALONE, "split.name=random") == []
    assert warned(ALONE, "split.name=random", 'model.blend=[{name="cooccurrence"}]') != []
    assert warned(SMALL) == []
    assert warned(SMALL, "split.name=by_user") == []
    assert (
        warned(SMALL, "split.name=random", "model.backbone={name='bag'}", 'stages.0.tasks=[{name="masked_item"}]') == []
    )
    assert broken_order(experiment_of(SMALL, "model.backbone={name='mf'}", "split.name=random"), REGISTRY) == ()
