"""Former spellings of options, rewritten with a note each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["upgrade"]

COOCCURRENCE = "cooccurrence"
"""The scorer that P5 0.1 called the item memory, and the baseline `neighbours`."""


def upgrade(tree: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """An experiment of P5 0.1 as this version spells it, and one sentence for each option that was rewritten."""
    changed, notes = dict(tree), []
    model, evaluate = changed.get("model"), changed.get("evaluate")
    if isinstance(model, Mapping) and "memory" in model and "blend" not in model:
        changed["model"], note = _without_memory(model)
        notes.append(note)
    baselines = evaluate.get("baselines") if isinstance(evaluate, Mapping) else None
    if isinstance(evaluate, Mapping) and isinstance(baselines, list) and "neighbours" in baselines:
        names = [COOCCURRENCE if baseline == "neighbours" else baseline for baseline in baselines]
        changed["evaluate"] = {**evaluate, "baselines": names}
        notes.append(f"evaluate.baselines: 'neighbours' is called '{COOCCURRENCE}' now.")
    if isinstance(changed.get("export"), Mapping) and changed.pop("export"):
        notes.append("[export] is not read: give its options to 'p5 export'.")
    return changed, tuple(notes)


def _without_memory(model: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    memory = model["memory"]
    rest = {key: value for key, value in model.items() if key != "memory"}
    options = dict(memory) if isinstance(memory, Mapping) else {}
    return (
        {**rest, "blend": [{"name": COOCCURRENCE, "content": "all", **options}]},
        f'model.memory = {{ … }} is written model.blend = [{{ name = "{COOCCURRENCE}", … }}] now.',
    )
